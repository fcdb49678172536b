"""Monitor: what callbacks that watch one figure share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from nbdl import Callback
from nbdl.errors import ConfigError, did_you_mean
from nbdl.training import spelling
from nbdl.units import Logs


class Monitor(Callback):
    """Watches a figure: finds it, knows which way is better, and keeps the best."""

    def watch(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        """Say what is watched; to be called by the constructor.

        Args:
            monitor: name of the figure.
            mode: "min", "max", or "auto": by the metric's own direction; losses are minimised.
            min_delta: what counts as an improvement.
        """
        if mode not in ("auto", "min", "max"):
            raise ConfigError(f"{type(self).__name__}: mode is 'auto', 'min' or 'max', got {mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)

    def start(self, best: float | None = None) -> None:
        """Forget what was seen; to be called when training begins.

        Args:
            best: what the figure must be better than at first.
        """
        validated = vars(self).get("params", {}).get("do_validation", True)
        if self.monitor.startswith("val_") and not validated:
            figures = self.model.metrics_names
            if spelling(self.monitor.removeprefix("val_"), dict.fromkeys(figures)) is not None:
                raise ConfigError(
                    f"{type(self).__name__}: there will be no figure {self.monitor!r}: give fit validation_data or "
                    f"validation_split, or watch one of {', '.join(figures)}"
                )
        known = vars(self).get("params", {}).get("figures")
        if known is not None and spelling(self.monitor, dict.fromkeys(known)) is None:
            raise self._unknown(known)
        name = self.monitor.removeprefix("val_")
        if self.model.compiled and spelling(name, dict(self.model.compiled.metrics)):
            found = self.model.array_metrics()
            if own := spelling(name, found):
                raise self._of_several(self.monitor, found[own].size)
        self.sign = -1.0 if self._maximise() else 1.0
        self._best = math.inf if best is None else self.sign * best

    @property
    def best(self) -> float:
        """The best figure seen; infinite before the first."""
        return self.sign * self._best

    def improves(self, figure: float) -> bool:
        """Whether the figure is better than the best by more than `min_delta`; if so, it is the best now."""
        if not self.better(figure, self.best):
            return False
        self._best = self.sign * figure
        return True

    def better(self, figure: float, other: float) -> bool:
        """Whether one figure is better than another by more than `min_delta`."""
        return self.sign * figure < self.sign * other - self.min_delta

    def figure(self, logs: Logs | None) -> float | None:
        """The figure that is watched, under any of its metric's names; None in an epoch that was not validated.

        Raises:
            ConfigError: it is not there; the names that are there follow.
        """
        logs = logs or {}
        name = spelling(self.monitor, logs)
        if name is not None:
            figure: Any = logs[name]
            if getattr(figure, "size", 1) != 1:
                raise self._of_several(name, figure.size)
            return float(figure.item() if hasattr(figure, "item") else figure)
        waits = self.params.get("do_validation") and not any(other.startswith("val_") for other in logs)
        if self.monitor.startswith("val_") and waits:  # validation_freq
            return None
        raise self._unknown(logs)

    def _of_several(self, name: str, size: int) -> ConfigError:
        return ConfigError(
            f"{type(self).__name__} watches one figure, and {name!r} is {size} of them: watch a metric that gives one, "
            "such as an average over the columns"
        )

    def _unknown(self, figures: Iterable[str]) -> ConfigError:
        """An error that says which figures there are."""
        names = list(figures)
        hint = did_you_mean(self.monitor, names)
        if self.monitor.startswith("val_"):
            hint += " For a val_ figure give fit validation_data or validation_split."
        return ConfigError(
            f"{type(self).__name__}: there is no figure {self.monitor!r}.{hint} There are: {', '.join(names)}"
        )

    def _maximise(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        metrics: dict[str, Any] = dict(self.model.compiled.metrics) if self.model.compiled else {}
        name = spelling(self.monitor.removeprefix("val_"), metrics)
        return name is not None and bool(metrics[name].greater_is_better)
