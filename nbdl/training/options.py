"""FitOptions: what a user gives fit beside x and y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbdl.units.callback import Callback


@dataclass(frozen=True)
class FitOptions:
    """The arguments of `Model.fit` beside x and y, as the user wrote them."""

    batch_size: int | None = None
    epochs: int | None = None
    verbose: bool | int | str = "auto"
    callbacks: Sequence[Callback | type[Callback] | str] | None = None
    validation_split: float = 0.0
    validation_data: Any = None
    shuffle: bool | str = True
    class_weight: Any = None
    sample_weight: Any = None
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: Any = 1
    threads: int | None = None
