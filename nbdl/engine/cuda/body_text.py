"""The text around a hand-written body: a block for each row, or for some rows of a result, all its threads in it."""

from __future__ import annotations

from nbdl.engine.cuda.text import Launch, Sizes, Writer, divided
from nbdl.errors import ConfigError
from nbdl.program.language.source import describe
from nbdl.program.operation import Function, Operation

MOST_BLOCKS = 65535


def check_body(operation: Operation) -> Function:
    """The CUDA body of a `kernel` operation.

    Raises:
        ConfigError: it has none; the layer and its package are named.
    """
    body: Function | None = operation.attributes.get("cuda")
    if body is None:
        assert operation.function is not None
        package = (operation.function.__module__ or "").partition(".")[0]
        raise ConfigError(
            f"layer {operation.layer!r} (of {package!r}) cannot run on a GPU: its kernel "
            f"{describe(operation.function)} has no CUDA body. Use device='cpu', or give r.kernel(..., cuda=body) one"
        )
    return body


def body_launch(operation: Operation, writer: Writer, sizes: Sizes) -> Launch:
    """The launch of a `kernel` operation.

    Raises:
        ConfigError: it has no CUDA body; the layer and its package are named.
    """
    assert operation.function is not None
    name = writer.emitter.function(check_body(operation), scalar=False)
    pointers = ", ".join(writer.pointer(tensor) for tensor in (*operation.inputs, *operation.outputs))
    title = f"kernel {operation.attributes.get('name') or operation.function.__name__}"
    threads, shared = (sizes.row_threads,), f"int32(cuda.threadIdx.x), int32({sizes.row_threads}), {pointers}"
    height = operation.domain[0]
    if height is not None:  # a result of fixed shape: a block fills some of its rows
        each = divided(height, sizes.body_parts)
        lines = [
            f"first = int32(int32(cuda.blockIdx.x) * {writer.number(each)})",
            f"end = int32(min(first + {writer.number(each)}, {writer.number(height)}))",
            f"{name}(first, end, {writer.rows(None)}, {shared})",
        ]
        return writer.launch(title, lines, threads, lambda rows: (divided(height, each),))
    lines = [
        "row = int32(cuda.blockIdx.x)",
        f"while row < {writer.rows(None)}:",
        f"    {name}(row, {shared})",
        "    cuda.syncthreads()",
        "    row = int32(row + int32(cuda.gridDim.x))",
    ]
    return writer.launch(title, lines, threads, lambda rows: (min(max(rows, 1), MOST_BLOCKS),))
