"""Simplification: operations that repeat others or lead to nothing are left out of a program."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from nbdl.program.operation import Operation
from nbdl.program.tensor import Tensor


def distinct(operations: list[Operation]) -> list[Operation]:
    """Without operations that repeat an earlier one, which two formulas that share a step would record."""
    known: dict[tuple[Any, ...], Tensor] = {}
    instead: dict[int, Tensor] = {}
    kept = []
    writes = Counter(id(tensor.storage) for operation in operations for tensor in operation.outputs)

    def current(tensor: Tensor) -> Tensor:
        found = instead.get(id(tensor.storage), tensor)
        return found if tensor.root is None or found is tensor else replace(tensor, root=found)

    for operation in operations:
        operation.inputs = tuple(map(current, operation.inputs))
        pure = operation.kind in ("map", "sum", "gemm") and operation.phase in ("forward", "loss", "backward")
        pure = pure and all(writes[id(t.storage)] < 2 for t in (*operation.inputs, *operation.outputs))
        if pure and len(operation.outputs) == 1 and operation.outputs[0].space == "work":
            targets = [(id(t.storage), t.shape, t.space, t.offset) if t.root or t.space == "work" else
                      (t.space, t.offset, t.shape) for t in operation.inputs]  # fmt: skip
            key = (operation.kind, operation.function, *targets, tuple(operation.attributes.items()))
            if key in known:
                instead[id(operation.outputs[0])] = known[key]
                continue
            known[key] = operation.outputs[0]
        kept.append(operation)
    return kept


def live(operations: list[Operation]) -> list[Operation]:
    """Only what leads to the log, the output or the store; a frozen weight's gradient and the first dx go."""
    wanted: set[int] = set()
    kept = []
    for operation in reversed(operations):
        lasting = any(tensor.space in ("log", "output", "weight", "slot", "gradient") for tensor in operation.outputs)
        if lasting or operation.kind == "check" or any(id(t.storage) in wanted for t in operation.outputs):
            wanted.update(id(tensor.storage) for tensor in operation.inputs)
            kept.append(operation)
    return kept[::-1]
