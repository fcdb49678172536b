"""The same program on a GPU, or in Numba's simulator of one, gives what the CPU gives."""

from __future__ import annotations

from nbdl.engine.executors import device
from nbdl.testing.agreement import close, same_bits
from nbdl.testing.suite import RECORDING, SkipTest, Subject, check
from nbdl.testing.units import probes

ODD = (7, 10)  # more than one block along rows and columns, and rows wider than the simulator's blocks


def no_cuda() -> str:
    """Why CUDA kernels cannot run here, neither on a GPU nor in Numba's simulator of one, or an empty string."""
    if device() == "reference":
        return "NUMBA_DISABLE_JIT=1 leaves no kernels to run"
    from nbdl.engine.cuda.availability import problem

    reason = problem()
    return f"no GPU, and no simulator of one, which NUMBA_ENABLE_CUDASIM=1 is for: {reason}" if reason else ""


def cuda_is_there() -> bool:
    """Whether CUDA kernels can run: in the simulator under NUMBA_ENABLE_CUDASIM=1, or on a GPU."""
    return not no_cuda()


@check("CUDA is the CPU", *RECORDING)
def cuda_is_cpu(subject: Subject) -> None:
    """The CUDA kernels give what the CPU's give, within a few roundings, and the same bits when they run again.

    Skipped where there is neither a GPU nor the simulator (NUMBA_ENABLE_CUDASIM=1), and for programs with a
    hand-written kernel that has no CUDA body: these are for the CPU alone.
    """
    if reason := no_cuda():
        raise SkipTest(reason)
    able = []
    for probe in [*subject.probes, *probes(subject, *ODD)]:
        lacking = [o.title for o in probe.program.operations if o.kind == "kernel" and o.attributes["cuda"] is None]
        if not lacking:
            able.append(probe)
    if not able:
        raise SkipTest(f"the kernel {lacking[0]} has no CUDA body")
    for probe in able:
        executor = probe.executor("cuda")
        found = probe.run("cuda", executor=executor)
        close(found, probe.run("compiled"), f"{probe.title}, CUDA", 2e-5, 2e-6)
        same_bits(probe.run("cuda", executor=executor), found, f"{probe.title}, CUDA, run again")
