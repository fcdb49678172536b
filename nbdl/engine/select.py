"""Which executor runs a program: compiled kernels, a GPU's, or plain Python where Numba's JIT is off."""

from __future__ import annotations

from collections.abc import Sequence

from nbdl.engine.executor import Checked, Executor, device_number, plain
from nbdl.engine.store import Floats, Store
from nbdl.program.operation import Program


def make(program: Program, store: Store, rows: int, gathered: Sequence[str | None], slots: Floats | None = None,
         device: str = "cpu", precision: str = "float32") -> Executor:  # fmt: skip
    """An executor for up to `rows` rows a step.

    Args:
        device: as `nbdl.network.device.resolve` gives it.
        precision: "float32", or "tf32" for a GPU's large matrix products.
    """
    if plain():
        from nbdl.engine.reference import ReferenceExecutor

        return ReferenceExecutor(program, store, rows, gathered, slots)
    if device != "cpu":
        from nbdl.engine.cuda import open_runtime
        from nbdl.engine.cuda.executor import CudaExecutor
        from nbdl.engine.trial import rehearse

        rehearse(program, store, cuda=True)
        runtime = open_runtime(device_number(device))
        return CudaExecutor(program, store, rows, gathered, slots, runtime, precision)
    from nbdl.engine.cpu.executor import CpuExecutor

    return CpuExecutor(program, store, rows, gathered, slots)


def make_checked(program: Program, store: Store, rows: int, gathered: Sequence[str | None],
                 slots: Floats | None = None, device: str = "cpu", precision: str = "float32") -> Checked:  # fmt: skip
    """An executor that runs one operation at a time and looks at what each wrote; arguments as for `make`."""
    if plain():
        from nbdl.engine.reference import ReferenceExecutor

        return ReferenceExecutor(program, store, rows, gathered, slots, check=True)
    if device != "cpu":
        from nbdl.engine.cuda import open_runtime
        from nbdl.engine.cuda.checked import CheckedCudaExecutor
        from nbdl.engine.trial import rehearse

        rehearse(program, store, cuda=True)
        runtime = open_runtime(device_number(device))
        return CheckedCudaExecutor(program, store, rows, gathered, slots, runtime, precision, fuse=False)
    from nbdl.engine.cpu.checked import CheckedExecutor

    return CheckedExecutor(program, store, rows, gathered, slots)
