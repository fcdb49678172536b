"""The lines that `fit` prints: a bar on a terminal, else one line per epoch."""

from __future__ import annotations

import sys
import time
from typing import Any

from nbdl.errors import ConfigError
from nbdl.units.callback import Callback, Logs

WIDTH = 20
REFRESH_SECONDS = 0.05
LINE_SECONDS = 10.0


def duration(seconds: float) -> str:
    """As Keras writes it, with tenths below ten seconds: "0.7s", "12s", "1:05", "2:00:07".

    >>> duration(65)
    '1:05'
    """
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole >= 60 else f"{whole}s"


def per_step(seconds: float) -> str:
    """Time per step in the unit that suits: "2ms/step", "11us/step".

    >>> per_step(0.0021)
    '2.1ms/step'
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g}{unit}/step"
    return f"{seconds / 1e-6:.3g}us/step"


def figures(logs: Logs) -> str:
    """ "loss: 0.1234 - accuracy: 0.9811"; small numbers in scientific notation."""
    return " - ".join(f"{name}: {shown(value)}" for name, value in logs.items())


def shown(value: Any) -> str:
    """A figure, or several in brackets."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return f"[{' '.join(map(shown, value))}]"
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def check_level(verbose: bool | int | str) -> None:
    """Refuse a text that is no level.

    Raises:
        ConfigError: it is another text than "auto".
    """
    if isinstance(verbose, str) and verbose != "auto":
        raise ConfigError(f'verbose is 0, 1, 2, True, False or "auto", got {verbose!r}')


def tell(verbose: int | str, title: str, began: float, logs: Logs | None = None) -> None:
    """Print what was done and its figures, a line, where verbose is 1 or 2."""
    if verbose in (1, 2):
        seconds = duration(time.perf_counter() - began)
        print(f"{title} in {seconds}{f' - {figures(logs)}' if logs else ''}", flush=True)


class ProgressLine(Callback):
    """Prints epochs: verbose 1 or "auto" draws a bar on stderr where that is a terminal, 2 never does.

    Elsewhere, in a notebook or a log, there is a line per epoch; with 1 or "auto" also one every ten seconds of an
    epoch that takes longer. There are no control characters in them.
    """

    adds = ()

    def __init__(self, verbose: int | str = "auto") -> None:
        self.within = verbose != 2
        self.bar = self.within and sys.stderr is not None and sys.stderr.isatty()
        self.drawn = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch, self.began, self.step = epoch, time.perf_counter(), 0
        if self.bar:
            self._print(f"Epoch {epoch + 1}/{self.params['epochs']}\n")

    def on_progress(self, step: int, steps: int, logs: Logs) -> None:
        now, self.step = time.perf_counter(), step
        if not self.bar:
            self._line(now, step, steps, logs)
            return
        if now - self.drawn < REFRESH_SECONDS and step < steps:
            return
        self.drawn = now
        each = (now - self.began) / step
        if steps:
            filled = WIDTH * step // steps
            line = f"{step}/{steps} {'━' * filled}{'─' * (WIDTH - filled)} {duration(each * (steps - step))}"
        else:
            line = f"{step}/unknown"
        self._print(f"\r\x1b[K{line} {per_step(each)} - {figures(logs)}")

    def _line(self, now: float, step: int, steps: int, logs: Logs) -> None:
        """Print how far a long epoch is, from time to time."""
        if not self.within or step == steps or now - max(self.began, self.drawn) < LINE_SECONDS:
            return
        self.drawn = now
        passed = now - self.began
        position = f"{step}/{steps}, {duration(passed / step * (steps - step))} left" if steps else str(step)
        head = f"Epoch {self.epoch + 1}/{self.params['epochs']}, step {position}"
        print(f"{head} - {duration(passed)} {per_step(passed / step)} - {figures(logs)}", flush=True)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        seconds, steps = time.perf_counter() - self.began, self.params["steps"] or max(1, self.step)
        line = f"{duration(seconds)} {per_step(seconds / steps)} - {figures(logs or {})}"
        if self.bar:
            self._print(f"\r\x1b[K{steps}/{steps} {'━' * WIDTH} {line}\n")
        else:
            print(f"Epoch {epoch + 1}/{self.params['epochs']} - {line}", flush=True)

    def _print(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def get_config(self) -> dict[str, Any]:
        return {}
