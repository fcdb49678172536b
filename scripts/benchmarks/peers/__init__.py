"""Who is measured: a peer for each way of doing the work, each at the best setting found for it."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.works import Inference, Training, Work

Repetition = Callable[[], float]
Maker = Callable[[Any, int], Repetition]


class LeftOut(Exception):
    """A peer cannot do this work; the message says why."""


@dataclass(frozen=True)
class Peer:
    """One way of doing the work, in a process of its own.

    Attributes:
        label: as tables show it; for inference `inference_label`, where another call is meant.
        module: in this package; its functions `training` and `inference` make repetitions.
        package: what must be installed.
        training, inference: the functions of the module, "" where it has no part in it.
        kind: "peer"; "nbdl" for nbdl's own ways; "floor" for a part of the roofline.
        choose_threads: all threads or one, whichever is faster, as nbdl chooses for itself.
        only_if_asked: takes part only if it is named.
        needs: further packages.
    """

    label: str
    module: str
    package: str
    training: str = ""
    inference: str = ""
    inference_label: str = ""
    kind: str = "peer"
    choose_threads: bool = False
    only_if_asked: bool = False
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def takes_part(self, work: Work) -> bool:
        """Whether it does this kind of work at all."""
        return bool(self.training if isinstance(work, Training) else self.inference)

    def title(self, work: Work) -> str:
        """Its label for this kind of work."""
        return self.inference_label if isinstance(work, Inference) and self.inference_label else self.label

    def make(self, work: Work, threads: int) -> Repetition:
        """A repetition of the work.

        Raises:
            LeftOut: it cannot do this one.
        """
        module = importlib.import_module(f"benchmarks.{self.module}")
        maker: Maker = getattr(module, self.training if isinstance(work, Training) else self.inference)
        return maker(work, threads)


REFERENCE = "nbdl"
PEERS: dict[str, Peer] = {
    "nbdl": Peer("**nbdl** `fit`", "peers.nbdl", "nbdl", "fit", "call", "**nbdl** `model(x)`", "nbdl"),
    "nbdl-engine": Peer("nbdl engine without `fit`", "peers.nbdl", "nbdl", "engine", kind="nbdl"),
    "nbdl-predict": Peer("nbdl `predict`", "peers.nbdl", "nbdl", inference="predict", kind="nbdl"),
    "nbdl-njit": Peer("nbdl `as_njit` from Python (1-D)", "peers.nbdl", "nbdl", inference="njit_call", kind="nbdl"),
    "nbdl-compiled": Peer(
        "nbdl `as_njit` inside `@njit` (1-D)", "peers.nbdl", "nbdl", inference="njit_loop", kind="nbdl"
    ),
    "jax-scan": Peer("JAX, scanned epoch", "peers.jax", "jax", "scanned"),
    "jax-step": Peer("JAX, jitted step", "peers.jax", "jax", "jitted", "predict", "JAX, jitted"),
    "keras": Peer(
        "Keras on JAX", "peers.keras", "keras", "fit", "predict", "Keras on JAX, `predict_on_batch`",
        needs=("jax",), environment={"KERAS_BACKEND": "jax"},
    ),
    "torch": Peer("PyTorch eager, fused optimizer", "peers.torch", "torch", "eager", "module", "PyTorch eager",
                  choose_threads=True),
    "torch-jit": Peer("PyTorch traced and frozen", "peers.torch", "torch", inference="traced", choose_threads=True),
    "torch-compile": Peer(
        "PyTorch compiled, fused optimizer", "peers.torch", "torch", "compiled", "compiled_module", "PyTorch compiled",
        choose_threads=True, only_if_asked=True,
    ),
    "sklearn": Peer("scikit-learn", "peers.sklearn", "sklearn", "partial_fit", "predict", choose_threads=True),
    "onnx": Peer(
        "ONNX Runtime", "peers.onnx", "onnxruntime", inference="run", choose_threads=True, needs=("onnx",)
    ),
    "onnx-bound": Peer(
        "ONNX Runtime, arrays bound beforehand", "peers.onnx", "onnxruntime", inference="bound", choose_threads=True,
        needs=("onnx",),
    ),
    "numpy": Peer("NumPy", "peers.numpy", "numpy", inference="forward", choose_threads=True),
    "products": Peer(
        "products alone, NumPy's BLAS", "roofline", "nbdl", "products_by_numpy", kind="floor", choose_threads=True
    ),
    "products-scipy": Peer(
        "products alone, SciPy's BLAS called from compiled code", "roofline", "scipy", "products_by_scipy",
        kind="floor", choose_threads=True, needs=("nbdl",),
    ),
    "products-nbdl": Peer("products alone, nbdl's kernels", "roofline", "nbdl", "products_by_nbdl", kind="floor"),
    "bytes": Peer("bytes alone, copied", "roofline", "nbdl", "bytes_copied", kind="floor"),
}  # fmt: skip


def limit_blas(threads: int) -> None:
    """Let the BLAS of NumPy and SciPy use so many threads; without threadpoolctl it keeps what the environment says."""
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads, "blas")


def calls(work: Inference, function: Callable[[Any], Any], x: Any) -> Repetition:
    """A repetition of that many calls."""

    def repetition() -> float:
        for _ in range(work.calls):
            function(x)
        return math.nan

    return repetition
