"""What is computed: tensors, operations and the scalar functions in them, before any machine is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.program.functions import add as add
    from nbdl.program.functions import nothing as nothing
    from nbdl.program.functions import per as per
    from nbdl.program.functions import same as same
    from nbdl.program.functions import sign as sign
    from nbdl.program.functions import square as square
    from nbdl.program.functions import times as times
    from nbdl.program.language.derivative import derivative as derivative
    from nbdl.program.language.plain import reference_function as reference_function
    from nbdl.program.operation import Operation as Operation
    from nbdl.program.operation import Program as Program
    from nbdl.program.recorder import Recorder as Recorder
    from nbdl.program.tensor import Shape as Shape
    from nbdl.program.tensor import Tensor as Tensor

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.program.functions": "add nothing per same sign square times",
        "nbdl.program.language.derivative": "derivative",
        "nbdl.program.language.plain": "reference_function",
        "nbdl.program.operation": "Operation Program",
        "nbdl.program.recorder": "Recorder",
        "nbdl.program.tensor": "Shape Tensor",
    },
)
