"""What a section is told, and where it keeps what it found."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """What a section is told, as JSON on its command line.

    Attributes:
        result: the file that the section keeps its findings in.
        seconds: how long it may take.
        simulate: Numba's simulator instead of a GPU: tiny sizes, nothing is timed.
        peers_on: "cuda", or "cpu": tiny step times on the CPU, to see that the peers compute the same.
        shard: the part of the units, and how many parts there are.
    """

    result: str
    seconds: float = 600.0
    simulate: bool = False
    peers_on: str = "cuda"
    shard: tuple[int, int] = (0, 1)

    @classmethod
    def from_json(cls, text: str) -> Options:
        """From the command line."""
        given = json.loads(text)
        return cls(**{**given, "shard": tuple(given.get("shard", (0, 1)))})

    def to_json(self, **changes: Any) -> str:
        """For the command line of a child, with some things changed."""
        return json.dumps({**dataclasses.asdict(self), **changes})

    @property
    def tiny(self) -> bool:
        """Whether sizes are such as a CPU or the simulator takes."""
        return self.simulate or self.peers_on == "cpu"


@dataclass
class Context:
    """A section's options, its time, and its findings, which are written whenever something is added.

    Attributes:
        result: what goes into the report; under "failures" what is wrong, under "unchecked" what could not be
            looked at, under "not_run" why nothing was.
    """

    options: Options
    result: dict[str, Any] = field(default_factory=lambda: {"failures": []})

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    @property
    def device(self) -> str:
        """The device under test."""
        return "cuda"

    def left(self) -> float:
        """Seconds that are left to this section."""
        return self.options.seconds - (time.monotonic() - self._began)

    def keep(self, **findings: Any) -> None:
        """Add findings; they survive whatever happens next."""
        from nbdl.storage.atomic import write_atomically

        self.result.update(findings)
        write_atomically(Path(self.options.result), json.dumps(self.result, indent=1).encode())

    def fail(self, what: str) -> None:
        """Something is wrong."""
        self.result["failures"].append(what)
        self.keep()

    def leave_unchecked(self, what: str) -> None:
        """Something could not be checked here; the section can still pass, but it says so."""
        self.result.setdefault("unchecked", []).append(what)
        self.keep()
