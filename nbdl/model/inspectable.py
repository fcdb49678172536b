"""Inspectable: how a model shows itself: summary, program, schedule and profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.model.owner import Owner
from nbdl.units.keras_names import explained

if TYPE_CHECKING:
    from nbdl.inspection.profile import Profile
    from nbdl.program.operation import Program


class Inspectable(Owner):
    """Tables and listings of a model."""

    @explained
    def summary(
        self, line_length: int | None = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
    ) -> None:  # fmt: skip
        """Print a table of the layers, their output shapes and numbers of weights.

        Args:
            line_length: in characters. Default 65, of a graph 98.
            positions: not there: None.
            print_fn: what takes each line. Default `print`.
            expand_nested: show the layers of models within a graph too.
        """
        from nbdl.inspection.summary import summary

        if positions is not None:
            raise ConfigError("summary: positions of columns are not there; line_length=... makes the table wider")
        for line in summary(self._job.network, line_length, expand_nested):
            (print_fn or print)(line)

    def explain(
        self,
        schedule: bool = False,
        batch_size: int = 32,
        print_fn: Callable[[str], Any] = print,
        device: str | None = None,
    ) -> None:
        """Print the program: a line per operation with operands, FLOPs and bytes.

        Args:
            schedule: how it runs instead: stages, tiles and memory of this machine, or the launches of a GPU.
            batch_size: the number of rows to count for.
            device: whose schedule, by default the model's: "cpu", "cuda", which takes no GPU here, or "auto".

        Raises:
            ConfigError: there is no such device, or it cannot run a layer.
        """
        from nbdl.inspection.explain import explain

        for line in explain(self._job, schedule, batch_size, self._job.device if device is None else device):
            print_fn(line)

    def profile(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        what: str = "train",
        seconds: float = 1.0,
        threads: int | None = None,
    ) -> Profile:
        """Measure where a step on the CPU goes, whatever the model's device, operation by operation.

        The model is not changed.

        Args:
            x, y: data, as `fit` takes it; by default random rows.
            batch_size: rows of a step; default 32.
            what: "train", "evaluate" or "predict".
            seconds: how long to measure, about.
            threads: at most so many for the whole step; operations are measured on one.

        Returns:
            µs, GFLOP/s, GB/s and share of the roofline of each operation; `print` shows a table.

        Raises:
            ConfigError: the model is not compiled, or runs without compiled kernels.
            DataError: the data does not fit.
        """
        from nbdl.inspection.measure import profile

        return profile(self._job, x, y, batch_size, what, seconds, threads)

    def program(self, what: str = "predict") -> Program:
        """The recorded program: "predict", "evaluate" or "train"."""
        from nbdl.network.record import record

        return record(self._job.network, self._job.setup, what)
