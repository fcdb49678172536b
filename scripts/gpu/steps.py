"""Step times beside peers: interleaved rounds, each peer in a process of its own, none that computes something else."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from benchmarks.works import Training, to_json

from gpu.context import Context
from gpu.peers import PEERS, Peer, works
from gpu.versions import card

ROUNDS, SECONDS = 5, 0.25  # of each measurement; an epoch that is longer is measured whole
REFEREE = "referee"  # nbdl on the CPU, whose losses everyone must have
SAME_LOSS, SAME_STEP = 2e-5, 0.02  # relative to the loss; and to how far the steps before have moved it
TF32 = 30.0  # times as much of both where products are TF32
EXACT = 2e-5  # error of float32 products, at most: TF32's is 3e-4
PREPARING = 75.0  # seconds, compilers included
LEAST = 30.0  # seconds that a further work must have


def steps(context: Context) -> None:
    """All works that the time allows; what is measured is kept after each."""
    device = context.options.peers_on
    with ExitStack() as stack:
        arena = Arena(context, device, stack)
        for name, work in works(context.options.tiny).items():
            if context.left() < LEAST:
                arena.leave_out(name, "all", "no time was left")
                continue
            arena.work(name, work)
        context.keep(card_afterwards=card())


class Worker:
    """A process, and the pipe to it."""

    def __init__(self, peer: str, device: str, environment: dict[str, str]) -> None:
        self.peer = peer
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpu.worker", peer, device], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment, text=True,
        )  # fmt: skip
        self.answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def tell(self, **request: Any) -> None:
        """Send a request."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer will say so

    def answer(self, seconds: float) -> dict[str, Any]:
        """What it answers; "error" if that takes too long, or it ended."""
        try:
            line = self.answers.get(timeout=max(0.1, seconds))
        except queue.Empty:
            return {"error": f"no answer within {seconds:.0f} s"}
        return dict(json.loads(line)) if line else {"error": f"its process ended with status {self.process.wait()}"}

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self.process.poll() is None

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Arena:
    """The workers, and one work after the other."""

    def __init__(self, context: Context, device: str, stack: ExitStack) -> None:
        self.context, self.device = context, device
        self.found: dict[str, Any] = {"works": {}, "left_out": [], "labels": {n: p.label for n, p in PEERS.items()},
                                      "own": [n for n, p in PEERS.items() if p.own],
                                      "tf32": [n for n, p in PEERS.items() if p.tf32]}  # fmt: skip
        self.workers: dict[str, Worker] = {}
        for name, peer in PEERS.items():
            if why := self._missing(peer):
                self.leave_out("", name, why)
            else:
                self.workers[name] = self._worker(name, name, device, stack)
        self.referee = self._worker(REFEREE, "nbdl-engine", "cpu", stack)

    def _worker(self, name: str, peer: str, device: str, stack: ExitStack) -> Worker:
        worker = Worker(peer, device, {**os.environ, **PEERS[peer].environment})
        worker.peer = name
        stack.callback(worker.close)
        return worker

    def _missing(self, peer: Peer) -> str:
        if importlib.util.find_spec(peer.package) is None:
            return f"{peer.package} is not installed"
        return "it needs a GPU" if peer.needs_gpu and self.device == "cpu" else ""

    def leave_out(self, work: str, peer: str, why: str) -> None:
        """On the record."""
        self.found["left_out"].append([work, peer, why])
        print(f"{work} {peer} is left out: {why}")
        self.context.keep(**self.found)

    def work(self, name: str, work: Training) -> None:
        """Prepare everyone, all at once; then rounds A B C ..., C B A ...; then ask for the memory."""
        row: dict[str, Any] = {"title": work.title, "batch": work.batch, "steps": work.steps, "flops": work.flops}
        row |= {key: {} for key in ("samples", "transfers", "losses", "memory", "product_error")}
        taking = self._prepared(name, work, row)
        rounds = 2 if self.context.options.tiny else ROUNDS
        for number in range(rounds):
            for worker in list(taking[:: -1 if number % 2 else 1]):
                answer = self._asked(worker, 30.0, do="measure", seconds=0.01 if self.context.options.tiny else SECONDS)
                if "error" in answer:
                    taking.remove(worker)
                    for times in (row["samples"], row["transfers"]):
                        times.pop(worker.peer, None)
                    self.leave_out(name, worker.peer, answer["error"])
                else:
                    row["samples"].setdefault(worker.peer, []).append(answer["seconds"] / work.steps)
                    row["transfers"].setdefault(worker.peer, []).append(answer["transfers"] / work.steps)
        for worker in taking:
            row["memory"][worker.peer] = self._asked(worker, 10.0, do="memory").get("memory", 0)
        self.found["works"][name] = row
        self.context.keep(**self.found)

    def _asked(self, worker: Worker, limit: float, **request: Any) -> dict[str, Any]:
        worker.tell(**request)
        answer = worker.answer(min(limit, self.context.left() - 2.0))
        if "error" in answer and "no answer" in answer["error"]:
            worker.close()  # an answer that comes later would be taken for the next one's
        return answer

    def _prepared(self, name: str, work: Training, row: dict[str, Any]) -> list[Worker]:
        """Those that compute what the referee does."""
        everyone = [self.referee, *self.workers.values()]
        asked = [worker for worker in everyone if worker.alive]
        for worker in asked:
            worker.tell(do="refer" if worker is self.referee else "prepare", work=to_json(work))
        until = time.monotonic() + min(PREPARING, self.context.left() - 15.0)
        answers = {worker.peer: worker.answer(until - time.monotonic()) for worker in asked}
        taking = []
        wanted = answers.get(REFEREE, {})
        for worker in asked:
            answer = answers[worker.peer]
            why = answer.get("error") or refused(PEERS.get(worker.peer), answer, wanted)
            if "no answer" in why:
                worker.close()
            if worker is self.referee:
                if why:
                    self.leave_out(name, REFEREE, why)
                continue
            if "losses" in answer:
                row["losses"][worker.peer] = answer["losses"]
                row["product_error"][worker.peer] = answer["product_error"]
            if why:
                self.leave_out(name, worker.peer, why)
                if PEERS[worker.peer].own:
                    self.context.fail(f"{name}: {PEERS[worker.peer].label}: {why}")
            else:
                taking.append(worker)
        row["losses"][REFEREE] = wanted.get("losses", [])
        return taking


def refused(peer: Peer | None, answer: dict[str, Any], referee: dict[str, Any]) -> str:
    """Why a peer computes something else than nbdl on the CPU, or ""."""
    if peer is None:
        return ""
    if "losses" not in referee:
        return "nothing to compare with: nbdl on the CPU gave no losses"
    found, wanted, untrained = answer["losses"], referee["losses"], referee["untrained"]
    factor = TF32 if peer.tf32 else 1.0
    if len(found) != len(wanted):
        return f"{len(found)} losses rather than {len(wanted)}"
    for number, (one, other, before) in enumerate(zip(found, wanted, untrained, strict=True)):
        allowed = factor * (SAME_LOSS * abs(other) + SAME_STEP * abs(other - before))
        if not abs(one - other) <= allowed:
            return f"it computes something else: the loss of step {number + 1} is {one:.6g}, the referee's {other:.6g}"
    if answer["product_error"] > EXACT * factor:
        return f"its products are not float32: {answer['product_error']:.1e} from float64"
    return ""
