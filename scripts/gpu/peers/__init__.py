"""Who trains beside nbdl, and by which rules: the same net, weights, data, precision and batches for everyone.

A peer is asked for three things: the losses of a few steps from given weights on batches in order, which must be
nbdl's; epochs in new random orders, which are timed; and how much memory it took.

All data lie on the device before anything is timed. Within the time are: a new order for each epoch, the gathering of
each batch by that order, the step, and the epoch's mean loss as a Python float, which waits for the device.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from benchmarks.works import LECTURE, Training

STEPS_COMPARED = 3


class Runner(Protocol):
    """A peer, ready for one work.

    Attributes:
        transferred: seconds within `epochs` so far in which data or weights went to the device or came from it.
    """

    transferred: float

    def losses(self, count: int) -> list[float]:
        """The losses of the first steps, batches in the data's order, from `first_weights`."""

    def epochs(self, count: int) -> float:
        """Train for some epochs, each in a new order: the last one's mean loss."""

    def memory(self) -> int:
        """The most bytes of the device that were in use, as its own allocator counts them; 0 where it cannot tell."""

    def product(self, a: Any, b: Any) -> Any:
        """a·b as its layers compute it, to see with which precision."""


@dataclass(frozen=True)
class Peer:
    """One way of doing the steps, in a process of its own.

    Attributes:
        label: as tables show it.
        module: in this package; `make(work, device, how)` gives a Runner.
        how: which of the module's ways.
        package: what must be installed.
        own: nbdl.
        tf32: products in TF32; compared with others that are so, and held to less.
        needs_gpu: has no meaning on a CPU.
        environment: of its process.
    """

    label: str
    module: str
    how: str
    package: str
    own: bool = False
    tf32: bool = False
    needs_gpu: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def make(self, work: Training, device: str) -> Runner:
        """Ready for a work on "cuda" or "cpu"."""
        runner: Runner = importlib.import_module(f"gpu.peers.{self.module}").make(work, device, self.how)
        return runner


# XLA would otherwise take three quarters of the memory at once; the others set their precision in code.
JAX = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
PLAIN = {"NBDL_CUBLAS": "0"}
PEERS: dict[str, Peer] = {
    "nbdl": Peer("**nbdl** `fit`", "own", "fit", "nbdl", own=True),
    "torch-graph": Peer("PyTorch, whole step as a CUDA graph", "torch", "graph", "torch"),
    "torch": Peer("PyTorch eager, fused Adam", "torch", "fused", "torch"),
    "nbdl-engine": Peer("nbdl, executor alone", "own", "engine", "nbdl", own=True),
    "jax-scan": Peer("JAX, scanned epoch", "jax", "scan", "jax", environment=JAX),
    "jax-step": Peer("JAX, jitted step", "jax", "step", "jax", environment=JAX),
    "nbdl-plain": Peer("nbdl `fit` without cuBLAS", "own", "fit", "nbdl", own=True, environment=PLAIN),
    "torch-foreach": Peer("PyTorch eager, foreach Adam", "torch", "foreach", "torch"),
    "torch-compile": Peer("PyTorch compiled, reduce-overhead, fused Adam", "torch", "compile", "torch", needs_gpu=True),
    "nbdl-tf32": Peer("nbdl `fit`, TF32", "own", "tf32", "nbdl", own=True, tf32=True, needs_gpu=True),
    "torch-graph-tf32": Peer(
        "PyTorch, whole step as a CUDA graph, TF32", "torch", "graph-tf32", "torch", tf32=True, needs_gpu=True
    ),
}

BATCHES = (100, 8192, 1024)  # targets speak of the first two
TINY_BATCHES = (5, 16)
WIDE = (784, 4096, 4096, 10)


def works(tiny: bool = False) -> dict[str, Training]:
    """Both nets at all batches, what matters most first; whole batches only, which every peer can do."""
    first, second, *others = TINY_BATCHES if tiny else BATCHES
    found = {}
    for net, batch in [("lecture", first), ("lecture", second), ("wide", second), ("wide", first),
                       *((net, batch) for batch in others for net in ("lecture", "wide"))]:  # fmt: skip
        sizes, hidden = (LECTURE, "sigmoid") if net == "lecture" else (WIDE, "relu")
        if tiny:
            sizes = (12, 9, 7, 10)
        steps = 6 if tiny else max(8, 20_000 // batch)
        title = f"{'-'.join(map(str, sizes))} {hidden}, softmax, crossentropy, Adam, batch {batch}"
        found[f"{net}-{batch}"] = Training(title, sizes, hidden, True, steps * batch, batch, 1)
    return found


def first_weights(work: Training) -> list[tuple[Any, Any]]:
    """Kernel (inputs × units) and bias of each layer: the same in every process."""
    rng, found = np.random.default_rng(1), []
    for inputs, units in work.layers:
        limit = math.sqrt(6.0 / (inputs + units))
        kernel = rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        found.append((kernel, rng.uniform(-0.1, 0.1, units).astype(np.float32)))
    return found
