"""Memory: where tensors of the work area lie; memory is used again once nobody reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nbdl.engine.cpu.schedule import Chain, Partition, reads_within_tile
from nbdl.engine.store import aligned
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor, pattern


@dataclass
class Memory:
    """Where the tensors of the work area lie, in floats.

    Attributes:
        offsets: by the storage tensor.
        partial: where the parts of a tensor reduced over chunks lie, by the tensor.
        batch: where a gathered input lies, by its number.
        gradients: where the gradients start; they lie as the weights do.
        size: floats in all.
    """

    offsets: dict[int, int] = field(default_factory=dict)
    partial: dict[int, int] = field(default_factory=dict)
    batch: dict[int, int] = field(default_factory=dict)
    gradients: int = 0
    size: int = 0


def plan_memory(
    program: Program, partition: Partition, gradient_size: int, reuse: bool = True, guard: int = 0
) -> Memory:
    """Give every tensor an offset: memory is used again once nobody reads it, and in place where a map allows."""
    memory = Memory()

    def take(size: int) -> int:
        start = memory.size
        memory.size += aligned(size) + guard
        return start

    if any(tensor.space == "gradient" for operation in program.operations for tensor in operation.outputs):
        memory.gradients = take(gradient_size)
    for operation in program.operations:
        if operation.kind == "gather":
            memory.batch[operation.outputs[0].offset] = take(partition.rows * operation.outputs[0].features)
    for tensor, chunks in partition.partials.items():
        memory.partial[id(tensor)] = take(chunks * tensor.features)
    _Allocation(partition, memory, take, reuse).run()
    return memory


class _Allocation:
    """First fit over the order in which chains run."""

    def __init__(self, partition: Partition, memory: Memory, take: Callable[[int], int], reuse: bool) -> None:
        self.partition = partition
        self.memory = memory
        self.take = take
        self.reuse = reuse
        self.when: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.readers: dict[int, set[int]] = {}
        self.chains: dict[int, Chain] = {}
        self.final: dict[int, Operation] = {}  # the last reader of each storage
        self.free: list[tuple[int, int]] = []  # start, size

    def run(self) -> None:
        timeline = self._timeline()
        sizes: dict[int, int] = {}
        expiring: dict[int, list[int]] = {}
        for time, _, operation in timeline:
            for past in [moment for moment in expiring if moment < time]:
                for key in expiring.pop(past):
                    self.free.append((self.memory.offsets[key], aligned(sizes[key])))
            for tensor in operation.outputs:
                storage = tensor.storage
                key = id(storage)
                if storage.space != "work" or key in self.memory.offsets:
                    continue
                sizes[key] = storage.features * (self.partition.rows if storage.batched else 1)
                donor = self._donor(operation, storage, time)
                if donor is not None:
                    self.memory.offsets[key] = self.memory.offsets[donor]
                    expiring[self.last[donor]].remove(donor)
                else:
                    self.memory.offsets[key] = self._start(aligned(sizes[key]))
                expiring.setdefault(self.last.get(key, time), []).append(key)

    def _timeline(self) -> list[tuple[int, int, Operation]]:
        """(time, chain, operation): tasks of one stage overlap, so a stage is one moment unless it has one task."""
        timeline, time, chains = [], 0, 0
        for stage in self.partition.stages:
            alone = len(stage) == 1 and len(stage[0].tiles) == 1
            for chain in stage:
                chains += 1
                for operation in chain.operations:
                    timeline.append((time, chains, operation))
                    self.chains[id(operation)] = chain
                    for tensor in operation.inputs:
                        self.last[id(tensor.storage)] = time
                        self.readers.setdefault(id(tensor.storage), set()).add(chains)
                    time += 1 if alone else 0
            time += 1
        for _, _, operation in timeline:
            for tensor in operation.inputs:
                self.final[id(tensor.storage)] = operation
        return timeline

    def _donor(self, operation: Operation, output: Tensor, time: int) -> int | None:
        """An input of the same extent that dies here, whose memory the map can write over in place."""
        if operation.kind != "map" or len(operation.outputs) != 1 or not self.reuse:
            return None
        for tensor in operation.inputs:
            key = id(tensor.storage)
            if (
                tensor.storage.space == "work"
                and tensor.batched == output.batched
                and tensor.features == output.features
                and pattern(tensor, operation.domain) == "full"
                and self.final.get(key) is operation
                and len(self.readers[key]) == 1
                and key in self.memory.offsets
                and self._only_own_parts(operation, tensor)
            ):
                return key
        return None

    def _only_own_parts(self, operation: Operation, tensor: Tensor) -> bool:
        """Whether each tile of the operation's chain reads only its own part; another tile may have to read it yet."""
        chain = self.chains[id(operation)]
        return all(reads_within_tile(chain, reader, tensor) for reader in chain.operations)

    def _start(self, size: int) -> int:
        for number, (start, room) in enumerate(self.free):
            if self.reuse and room >= size:
                self.free[number] = (start + size, room - size)
                return start
        return self.take(size)
