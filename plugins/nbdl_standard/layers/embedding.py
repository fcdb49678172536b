"""Embedding: a learned vector for each integer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import nothing
from nbdl_standard.ranges import POSITIVE_INTEGER
from nbdl_standard.weights import keep, make

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder

MOST = 1 << 24  # float32 holds integers up to here exactly


def place(x: float, size: float) -> float:
    """The integer nearest to x, or -1 where that is none of 0 ... size - 1."""
    below = math.floor(x)
    nearest = below + 1.0 if x - below > 0.5 else below
    return nearest if 0.0 <= nearest < size else -1.0


def look_up(places: Any, weight: Any, sizes: Any, y: Any) -> None:
    """Rows of the weight side by side; NaN for a place that there is not."""
    width = weight.shape[1]
    for i in range(places.shape[0]):
        for k in range(places.shape[1]):
            at, start = int(places[i, k]), k * width
            if at >= 0:
                for j in range(width):
                    y[i, start + j] = weight[at, j]
            else:
                for j in range(width):
                    y[i, start + j] = math.nan


def look_up_cuda(row: int, thread: int, threads: int, places: Any, weight: Any, sizes: Any, y: Any) -> None:
    """The same for a GPU."""
    length, width = int(sizes[0]), int(sizes[1])
    k, j = row * length, thread
    end = k + length
    while k < end:
        if j >= width:  # rather than a division of integers, which takes longer
            k, j = k + 1, j - width
        else:
            at = int(places[k])
            y[k * width + j] = weight[at * width + j] if at >= 0 else math.nan
            j += threads


def add_rows(places: Any, dy: Any, sizes: Any, gradient: Any, first: int) -> None:
    """Σ of the dy of each row of the weight, in the order of the batch; for the rows from `first` on."""
    width, end = gradient.shape[1], first + gradient.shape[0]
    for at in range(gradient.shape[0]):
        for j in range(width):
            gradient[at, j] = 0.0
    for i in range(places.shape[0]):
        for k in range(places.shape[1]):
            at, start = int(places[i, k]), k * width
            if first <= at < end:
                for j in range(width):
                    gradient[at - first, j] += dy[i, start + j]


def add_own(at: int, first: int, end: int, dy: Any, source: int, gradient: Any, target: int) -> None:
    """Add one element, if its row is one from first to end."""
    if first <= at < end:
        gradient[target] += dy[source]


def add_rows_cuda(
    first: int, end: int, count: int, thread: int, threads: int, places: Any, dy: Any, sizes: Any, gradient: Any
) -> None:
    """The same for a GPU: a thread has some columns to itself, so its order is the batch's."""
    width, occurrences = int(sizes[1]), count * int(sizes[0])
    j = thread
    while j < width:
        at = first
        while at < end:
            gradient[at * width + j] = 0.0
            at += 1
        k = 0
        while k + 3 < occurrences:  # four places are under way at once, for most are of no concern here
            a, b, c, d = int(places[k]), int(places[k + 1]), int(places[k + 2]), int(places[k + 3])
            add_own(a, first, end, dy, k * width + j, gradient, a * width + j)
            add_own(b, first, end, dy, (k + 1) * width + j, gradient, b * width + j)
            add_own(c, first, end, dy, (k + 2) * width + j, gradient, c * width + j)
            add_own(d, first, end, dy, (k + 3) * width + j, gradient, d * width + j)
            k += 4
        while k < occurrences:
            at = int(places[k])
            add_own(at, first, end, dy, k * width + j, gradient, at * width + j)
            k += 1
        j += threads


class Embedding(Layer):
    """A learned vector for each of the integers 0 ... input_dim - 1, words of a text or other categories.

    Formula: y[row, k, :] = E[x[row, k], :] with E of shape (input_dim, output_dim); ∂E[n, :] = Σ dy[row, k, :] over all
    row, k with x[row, k] = n, added up in their order.

    Args:
        input_dim: how many integers there are, at most 2²⁴. (It is not the size of a row, as in other layers.)
        output_dim: size of a vector.
        embeddings_initializer: first values of E; "uniform" is -0.05 ... 0.05.
        embeddings_regularizer: penalty on E, added to the loss.
        embeddings_constraint: projection of E after each update.
        mask_zero: refused; only recurrent layers would heed a mask.
        input_length: integers in a row, if that is to be known before data is (older spelling of input_shape).

    Rows of any shape gain a last axis. PyTorch calls the arguments num_embeddings and embedding_dim, draws from the
    standard normal distribution and has padding_idx. Like Keras, and unlike a sparse embedding, every step updates all
    of E. Where integers were not checked (model(x), as_njit), one that is out of range gives NaN, and
    a number that is not whole stands for the nearest one (2.5 for 2); `fit`, `evaluate` and `predict` refuse both.

    Raises:
        ConfigError: input_dim or output_dim is not a positive integer, or mask_zero is asked for.

    Source: Keras 3, layers/core/embedding.py.

    >>> Embedding(1000, 64, input_length=10).input_shape
    (10,)
    """

    renamed = {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
               "W_constraint": "embeddings_constraint"}  # fmt: skip

    ignored: ClassVar = {"lora_rank": (None,), "lora_alpha": (None,), "quantization_config": (None,)}
    instead: ClassVar = {
        **dict.fromkeys(("lora_rank", "lora_alpha"), "not there: there is no low-rank adaptation"),
        "quantization_config": "not there: everything is float32",
    }
    ranges: ClassVar = {"input_dim": POSITIVE_INTEGER, "output_dim": POSITIVE_INTEGER}
    positions = (
        "input_dim", "output_dim", "embeddings_initializer", "embeddings_regularizer", "embeddings_constraint",
        "mask_zero", "weights", "lora_rank", "lora_alpha", "quantization_config",
    )  # fmt: skip

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: int | None = None,
    ) -> None:
        if input_dim > MOST:
            raise ConfigError(
                f"Embedding: input_dim is at most {MOST}, float32's largest exact integer, got {input_dim}"
            )
        if mask_zero:
            raise ConfigError(
                "Embedding: mask_zero marks steps that recurrent layers leave out, and there are none here; leave it "
                "away, and the vector of 0 is learned like any other"
            )
        self.input_dim, self.output_dim, self.input_length = int(input_dim), int(output_dim), input_length
        self.input_limit = self.input_dim
        self.mask_zero = False
        keep(self, "embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint)
        if input_length is not None:
            self.set_input_shape(input_length)

    def build(self, b: Builder, shape: Shape) -> Shape:
        self.embeddings = make(self, b, "embeddings", (self.input_dim, self.output_dim))
        return (*shape, self.output_dim)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        places = r.map(place, x, self.input_dim)
        sizes = r.table([x.features, self.output_dim])
        shape = (*x.shape, self.output_dim)
        y = r.kernel(look_up, places, self.embeddings, sizes, shapes=[shape], name="look up", cuda=look_up_cuda)
        return y, places

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        sizes = r.table([x.features, self.output_dim])
        shape = self.embeddings.shape
        r.gradient(
            self.embeddings,
            r.kernel(
                add_rows,
                saved,
                dy,
                sizes,
                shapes=[shape],
                rows=False,
                name="add rows",
                cuda=add_rows_cuda,
                reduction="sum",
            ),
        )
        return r.map(nothing, x)


@hookimpl
def register_layers(register: Any) -> None:
    register(
        "Embedding",
        Embedding,
        examples=(
            {"input_dim": 7, "output_dim": 5},
            {"input_dim": 40, "output_dim": 2, "embeddings_initializer": "ones", "embeddings_regularizer": "l2"},
        ),
    )
