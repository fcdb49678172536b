"""The same program on a GPU, or in Numba's simulator of one, gives what the CPU gives."""

from __future__ import annotations

from nbdl.engine.executors import device
from nbdl.registry import Entry
from nbdl.testing.agreement import RECORDING, close, same_bits
from nbdl.testing.suite import Subject, check
from nbdl.testing.units import probes

ODD = (7, 10)  # more than one block along rows and columns, and rows wider than the simulator's blocks


def cuda_is_there(entry: Entry | None = None) -> bool:
    """Whether kernels can run: in the simulator under NUMBA_ENABLE_CUDASIM=1, or on a GPU."""
    if device() == "reference":
        return False
    from nbdl.engine.cuda.availability import problem

    return not problem()


@check("CUDA is the CPU", *RECORDING, applies=cuda_is_there)
def cuda_is_cpu(subject: Subject) -> None:
    """The CUDA kernels give what the CPU's give, within a few roundings, and the same bits when they run again.

    What has a hand-written kernel without a CUDA body is for the CPU alone.
    """
    for probe in [*subject.probes, *probes(subject, *ODD)]:
        if any(o.kind == "kernel" and o.attributes["cuda"] is None for o in probe.program.operations):
            continue
        executor = probe.executor("cuda")
        found = probe.run("cuda", executor=executor)
        close(found, probe.run("compiled"), f"{probe.title}, CUDA", 2e-5, 2e-6)
        same_bits(probe.run("cuda", executor=executor), found, f"{probe.title}, CUDA, run again")
