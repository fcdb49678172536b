"""Signals that end a program wait while steps run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Signals that end a program, where the system has them: Ctrl-C; what timeout, Slurm and docker stop send; a terminal
# that closes; Ctrl-Break. Those with a handler in Python wait.
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@contextmanager
def signals_afterwards() -> Iterator[None]:
    """Let signals that may end the run wait for the end of this block: never between the steps and their count."""
    former: dict[int, Any] = {}
    asked: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            handler = signal.getsignal(number)
            if callable(handler):
                signal.signal(number, lambda number, frame: asked.append(number))
                former[number] = handler
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for number in asked:  # also where the block raised: what was asked for is not lost
            former[number](number, None)
