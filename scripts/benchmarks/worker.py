"""A worker: one peer in a process of its own, which answers requests that come as lines of JSON.

python -m benchmarks.worker PEER THREADS
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import Any

from benchmarks.peers import PEERS, LeftOut, Repetition
from benchmarks.works import Work, from_json

SETTLE_SECONDS = 0.3  # of work that is not counted, after the machine was made busy or quiet
TRIAL_SECONDS = 0.05  # to find the better number of threads


def main() -> None:
    """Answer until the pipe is closed."""
    name, threads = sys.argv[1], int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    worker = Worker(name, threads)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = worker.answer(request)
        except LeftOut as reason:
            answer = {"error": str(reason)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Worker:
    """Prepares one work at a time, and measures it."""

    def __init__(self, name: str, threads: int) -> None:
        self.peer, self.threads = PEERS[name], threads
        self.repetition: Repetition | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is asked for under "do": "prepare" with a "work", or "measure" for some "seconds"."""
        if request["do"] == "measure":
            if request["settle"]:
                self.measure(SETTLE_SECONDS)
            return self.measure(request["seconds"])
        return self.prepare(from_json(request["work"]))

    def prepare(self, work: Work) -> dict[str, Any]:
        """Make the work ready, with the number of threads that is best for it where the peer leaves that to us."""
        self.repetition = None  # its memory may be needed
        best = self.threads
        if self.peer.choose_threads and best > 1:
            best = min((best, 1), key=lambda threads: self.tried(work, threads))
        self.repetition = self.peer.make(work, best)
        loss = self.repetition()
        self.repetition()  # caches, frequencies, whatever the first call leaves to the second
        return {"loss": loss, "best_threads": best, "blas": blas()}

    def tried(self, work: Work, threads: int) -> float:
        """Seconds of a repetition with so many threads: the least of some, of one where it takes long."""
        self.repetition = self.peer.make(work, threads)
        self.repetition()
        seconds = [self.measure(TRIAL_SECONDS)["seconds"]]
        while len(seconds) < 3 and max(seconds) < 4 * TRIAL_SECONDS:
            seconds.append(self.measure(TRIAL_SECONDS)["seconds"])
        return float(min(seconds))

    def measure(self, seconds: float) -> dict[str, Any]:
        """Repeat the work until the time is over: seconds on the clock and of processors, for each repetition."""
        assert self.repetition is not None
        count, loss = 0, math.nan
        used, began = time.process_time(), time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds or not count:
            loss = self.repetition()
            count += 1
        used = time.process_time() - used  # of all threads
        return {"seconds": elapsed / count, "cpu": used / count, "repetitions": count, "loss": loss}


def blas() -> list[str]:
    """The BLAS libraries in this process and the kernels that they chose."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    found = [i for i in threadpool_info() if i["user_api"] == "blas"]
    return sorted({f"{i['internal_api']} {i['version']} {i.get('architecture', '')}".strip() for i in found})


if __name__ == "__main__":
    main()
