"""Seeds: one number from which everything random follows."""

from __future__ import annotations

import itertools
import secrets

_state: dict[str, int] = {}
_models = itertools.count()


def set_random_seed(seed: int) -> None:
    """From here on, models get their seeds from this number, in the order in which they are made.

    >>> from nbdl import Sequential
    >>> set_random_seed(1)
    >>> first = Sequential().seed
    >>> set_random_seed(1)
    >>> Sequential().seed == first
    True
    """
    global _models
    _state["seed"] = int(seed)
    _models = itertools.count()


def new_seed() -> int:
    """A seed for a new model: from `set_random_seed`'s number if it was called, else from the system."""
    if "seed" not in _state:
        return secrets.randbits(32)
    from hashlib import sha256

    text = f"{_state['seed']} {next(_models)}"
    return int.from_bytes(sha256(text.encode()).digest()[:4], "little")
