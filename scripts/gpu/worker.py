"""A worker: one peer in a process of its own, which answers requests that come as lines of JSON.

python -m gpu.worker PEER DEVICE
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
from benchmarks.works import Training, from_json

from gpu.peers import PEERS, STEPS_COMPARED, Runner


def main() -> None:
    """Answer until the pipe is closed."""
    name, device = sys.argv[1:3]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    worker = Worker(name, device)
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Worker:
    """Prepares one work at a time, and measures it."""

    def __init__(self, name: str, device: str) -> None:
        self.peer, self.device = PEERS[name], device
        self.runner: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is asked for: "do" "prepare" or "refer" with a "work", "measure" for some "seconds", or "memory"."""
        if request["do"] in ("prepare", "refer"):
            work = from_json(request["work"])
            assert isinstance(work, Training)
            return self.prepare(work) if request["do"] == "prepare" else self.refer(work)
        assert self.runner is not None
        if request["do"] == "memory":
            return {"memory": self.runner.memory()}
        return measured(self.runner, self.repetitions(request["seconds"]))

    def prepare(self, work: Training) -> dict[str, Any]:
        """Make it ready: the first losses, and how exact its products are."""
        self.runner = None  # its memory may be needed
        self.runner = self.peer.make(work, self.device)
        losses = self.runner.losses(STEPS_COMPARED)
        self.runner.epochs(1)  # warms up
        self.seconds = 0.0
        return {"losses": losses, "product_error": product_error(self.runner)}

    def refer(self, work: Training) -> dict[str, Any]:
        """The losses that everyone must have, and those without training; nothing is made ready to be measured."""
        runner: Any = self.peer.make(work, self.device)
        return {"untrained": runner.untrained(STEPS_COMPARED), "losses": runner.losses(STEPS_COMPARED)}

    def repetitions(self, seconds: float) -> int:
        """Epochs that take at least so long; found once for a work, so that each round does the same."""
        assert self.runner is not None
        if not self.seconds:
            self.seconds = measured(self.runner, 1)["seconds"]
        return max(1, round(seconds / self.seconds))


def measured(runner: Runner, epochs: int) -> dict[str, float]:
    """Seconds of an epoch, those of its transfers beside, and its loss."""
    before, began = runner.transferred, time.perf_counter()
    loss = runner.epochs(epochs)
    taken, transfers = time.perf_counter() - began, runner.transferred - before
    return {"seconds": (taken - transfers) / epochs, "transfers": transfers / epochs, "loss": loss, "epochs": epochs}


def product_error(runner: Runner) -> float:
    """How far its matrix product is from float64, relative: some 1e-7 for float32, 3e-4 for TF32."""
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal((512, 512)).astype(np.float32) for _ in range(2))
    exact = a.astype(np.float64) @ b
    return float(np.linalg.norm(runner.product(a, b) - exact) / np.linalg.norm(exact))


if __name__ == "__main__":
    main()
