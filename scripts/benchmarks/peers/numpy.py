"""NumPy: the net by hand, for inference."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Repetition, calls, limit_blas
from benchmarks.works import Inference, Work, inference_rows


def weights_of(work: Work) -> list[tuple[Any, Any]]:
    """Kernels and biases, float32."""
    import numpy as np

    random = np.random.default_rng(1)
    kernels = [random.standard_normal(shape).astype(np.float32) / np.float32(shape[0] ** 0.5) for shape in work.layers]
    return [(kernel, np.zeros(kernel.shape[1], np.float32)) for kernel in kernels]


def forward(work: Inference, threads: int) -> Repetition:
    """Products, biases in place, activations in place."""
    import numpy as np

    limit_blas(threads)
    *hidden, (last, last_bias) = weights_of(work)
    one = np.float32(1.0)

    def sigmoid(x: Any) -> Any:
        np.negative(x, out=x)
        np.exp(x, out=x)
        x += one
        return np.divide(one, x, out=x)

    activation = {"relu": lambda x: np.maximum(x, 0.0, out=x), "sigmoid": sigmoid}[work.hidden]

    def net(x: Any) -> Any:
        for kernel, bias in hidden:
            x = x @ kernel
            x += bias
            x = activation(x)
        x = x @ last
        x += last_bias
        if work.classes:
            x -= x.max(axis=1, keepdims=True)
            np.exp(x, out=x)
            x /= x.sum(axis=1, keepdims=True)
        return x

    return calls(work, net, inference_rows(work))
