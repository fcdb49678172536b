"""Signals that ask a training to end: the model so far is saved, as after Ctrl-C."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Any

from nbdl.training.signals import ENDING

INTERRUPTED = 130  # the exit code after Ctrl-C


class Ended(KeyboardInterrupt):
    """A signal asked for the end.

    Attributes:
        exit_code: The one by which a shell knows the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Ending:
    """A block in which signals that ask for the end raise `Ended`: the first one, later ones are noted only.

    Signals that are ignored, as by nohup, or that somebody else handles, are left alone. Outside of the main thread
    there is nothing to handle. After the block the former handlers are back.

    Attributes:
        asked: The signal that came first, if one did.
        waits: Whether signals are only noted: while the model is written.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self.waits = False
        self.stack = ExitStack()

    def __enter__(self) -> Ending:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                former = signal.getsignal(number)
                if former in (signal.SIG_DFL, signal.default_int_handler):
                    signal.signal(number, self.note)
                    self.stack.callback(signal.signal, number, former)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stack.close()

    def note(self, number: int, frame: FrameType | Any) -> None:
        """Note the first signal, and end what runs."""
        first = self.asked is None
        self.asked = number if first else self.asked
        if first and not self.waits:
            self.waits = True
            raise Ended(number)

    @property
    def exit_code(self) -> int | None:
        """The exit code, where a signal came."""
        return None if self.asked is None else 128 + self.asked
