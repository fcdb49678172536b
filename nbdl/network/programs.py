"""What is made for a network once and kept: its programs, the executors that run them, and its nets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from nbdl.engine.executor import Executor
    from nbdl.engine.nets.net import Net
    from nbdl.network.setup import Setup
    from nbdl.program.operation import Program

EXECUTORS = 16  # that a cache keeps


class ProgramKey(NamedTuple):
    """What a program depends on: its mode, and what may change without a new `compile`.

    Attributes:
        frozen: the numbers of the layers that are not trained, and of weights of layers within layers, and
        rule: the optimizer's rule: None where the program does not depend on them.
    """

    mode: str
    frozen: tuple[tuple[int, ...], tuple[int, ...]] | None
    rule: Any


class ExecutorKey(NamedTuple):
    """What an executor depends on.

    Attributes:
        max_rows: of a batch.
        gathered: the types that the arrays of a batch are gathered from.
        backend: what runs the host's programs, "cpu" or "reference".
        checked: whether every result is looked at.
        slots: the address of the optimizer's slots; 0 where there are none.
    """

    program: ProgramKey
    max_rows: int
    gathered: tuple[str | None, ...]
    backend: str
    device: str
    precision: str
    checked: bool
    slots: int


@dataclass
class ProgramCache:
    """The programs of a network, its executors and nets.

    Attributes:
        nets: for compiled code, by whether they have derivatives.
        net_of_rows: the quick net where a row of inputs and one of outputs are vectors; False where there is none.
        step_runner: what `train_on_batch` keeps from call to call.
        metric_sums: what `test_on_batch` keeps from call to call.
        gradients: what `value_and_gradient` keeps.
        setups: of losses that it was given, by what they were given as.
        own_step: what `optimizer.apply` keeps.
    """

    programs: dict[ProgramKey, Program] = field(default_factory=dict)
    executors: dict[ExecutorKey, Executor] = field(default_factory=dict)
    nets: dict[bool, Any] = field(default_factory=dict)
    net_of_rows: Net | Literal[False] | None = None
    step_runner: object | None = None
    metric_sums: object | None = None
    gradients: object | None = None
    setups: dict[Any, Setup] = field(default_factory=dict)
    own_step: object | None = None

    def keep(self, key: ExecutorKey, executor: Executor) -> None:
        """Add an executor, and let go of the oldest: each has memory for its rows, of which there may be any number."""
        for older in [*self.executors][: 1 - EXECUTORS]:
            del self.executors[older]
        self.executors[key] = executor

    def clear(self) -> None:
        """Let go of everything: the network has other layers, or another setup."""
        self.programs.clear()
        self.executors.clear()
        self.nets.clear()
        self.setups.clear()
        self.net_of_rows = self.step_runner = self.metric_sums = self.gradients = self.own_step = None
