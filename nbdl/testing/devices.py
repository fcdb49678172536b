"""The same program on a GPU, or in Numba's simulator of one, gives what the CPU gives."""

from __future__ import annotations

from unittest import SkipTest

from nbdl.engine.executor import host_backend
from nbdl.plugins.options import RECORDING
from nbdl.testing.agreement import close, same_bits
from nbdl.testing.probe import Probe
from nbdl.testing.subject import NO_KERNELS, Subject, check
from nbdl.testing.units import known_probes, probes

ODD = (7, 10)  # more than one block along rows and columns, and rows wider than the simulator's blocks


def no_cuda() -> str:
    """Why CUDA kernels cannot run here, neither on a GPU nor in Numba's simulator of one, or an empty string."""
    if host_backend() == "reference":
        return NO_KERNELS
    from nbdl.engine.cuda.availability import problem

    reason = problem()
    return f"no GPU, and no simulator of one, which NUMBA_ENABLE_CUDASIM=1 is for: {reason}" if reason else ""


def cuda_is_there() -> bool:
    """Whether CUDA kernels can run: in the simulator under NUMBA_ENABLE_CUDASIM=1, or on a GPU."""
    return not no_cuda()


@check("CUDA is the CPU", *RECORDING)
def cuda_is_cpu(subject: Subject) -> None:
    """The CUDA kernels give what the CPU's give, within a few roundings, and the same bits when they run again.

    Where a unit has a CUDA body, all its hand-written kernels have one, or it could not be trained there. A unit
    without any is for the CPU alone, which is a skip; so is the lack of both a GPU and the simulator of one
    (NUMBA_ENABLE_CUDASIM=1).
    """
    if reason := no_cuda():
        raise SkipTest(reason)
    lacking = {probe.title: bodies for probe in known_probes(subject) if (bodies := _bodies(probe, with_cuda=False))}
    if lacking:
        title, (first, *_) = next(iter(lacking.items()))
        some = any(_bodies(probe, with_cuda=True) for probe in known_probes(subject))
        assert not some, f"{title}: the {first} has no CUDA body, where others of the unit have one"
    for probe in (one for one in (*known_probes(subject), *probes(subject, *ODD)) if one.title not in lacking):
        executor = probe.executor("cuda")
        found = probe.run("cuda", executor=executor)
        close(found, probe.run("compiled"), f"{probe.title}, CUDA", 2e-5, 2e-6)
        same_bits(probe.run("cuda", executor=executor), found, f"{probe.title}, CUDA, run again")
    if lacking:
        raise SkipTest(f"{title}: the {first} has no CUDA body")


def _bodies(probe: Probe, with_cuda: bool) -> list[str]:
    """The hand-written kernels of a program that have a CUDA body, or those that have none."""
    kernels = [operation for operation in probe.program.operations if operation.kind == "kernel"]
    return [one.title for one in kernels if (one.attributes["cuda"] is not None) is with_cuda]
