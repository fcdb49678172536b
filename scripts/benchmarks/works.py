"""The workloads: what is trained or predicted, on which data, and by what the time is divided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Net:
    """A dense net; the output is softmax for classes, else linear."""

    title: str
    sizes: tuple[int, ...]
    hidden: str
    classes: bool

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer."""
        return list(pairwise(self.sizes))


@dataclass(frozen=True)
class Training(Net):
    """Training: crossentropy for classes, else mean squared error.

    Attributes:
        epochs: of one repetition.
        unit: "step" or "epoch".
        family: works of one family share a table, a line each.
        along: the place on the axis of its family's plot.
    """

    rows: int
    batch: int
    epochs: int
    unit: str = "step"
    optimizer: str = "adam"
    dropout: float = 0.0
    family: str = ""
    along: float = 0.0

    @property
    def shuffled(self) -> bool:
        """One batch of all rows needs no order."""
        return self.batch < self.rows

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.rows // self.batch)

    @property
    def units(self) -> int:
        """What a repetition's time is divided by."""
        return self.epochs * (self.steps if self.unit == "step" else 1)

    @property
    def flops(self) -> int:
        """Floating-point operations of the products of a step; the first layer has no derivative by its input."""
        sizes = [inputs * units for inputs, units in self.layers]
        return 2 * self.batch * (3 * sum(sizes) - sizes[0])


@dataclass(frozen=True)
class Inference(Net):
    """Predicting the same number of rows again and again, in and out in the peer's own kind of array."""

    rows: int
    calls: int
    unit: str = "call"
    family: str = ""
    along: float = 0.0

    @property
    def units(self) -> int:
        """What a repetition's time is divided by."""
        return self.calls


Work = Training | Inference

LECTURE = (784, 500, 500, 10)
WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
BATCHES = (32, 128, 1024)


def square(width: int, batch: int, depth: int = 2, title: str = "", **other: Any) -> Training:
    """A net of equal hidden layers; as many steps as make a repetition some milliseconds, whatever the size."""
    sizes = (width,) * (depth + 1) + (10,)
    per_step = 6 * batch * sum(a * b for a, b in pairwise(sizes))
    steps = max(2, min(300, 5_000_000_000 // per_step))
    given = {"rows": steps * batch, "batch": batch, "epochs": 5 if per_step < 5_000_000 else 1, **other}
    return Training(title or f"W = {width}, batch {batch}", sizes, "relu", True, **given)


TRAIN: dict[str, Work] = {
    "lecture": Training(
        "lecture net 784-500-500-10 sigmoid/softmax, batch 100, Adam", LECTURE, "sigmoid", True, 12_000, 100, 1
    ),
    "mnist_mlp": Training(
        "mnist_mlp 784-512-512-10 relu, dropout 0.2, batch 128, RMSprop",
        (784, 512, 512, 10), "relu", True, 12_800, 128, 1, optimizer="rmsprop", dropout=0.2,
    ),
    "small": Training("small net 64-32-32-10 relu, batch 32, Adam", (64, 32, 32, 10), "relu", True, 6_400, 32, 5),
    "tiny": Training("tiny net 4-8-2 relu, batch 8, Adam", (4, 8, 2), "relu", True, 8_000, 8, 5),
    "matexp": Training(
        "matrix exponential 4-32-16-4 tanh, all 10 000 rows in one batch, Adam",
        (4, 32, 16, 4), "tanh", False, 10_000, 10_000, 50, "epoch",
    ),
}  # fmt: skip
SQUARES = "two square hidden layers: W-W-W-10 relu, Adam"
WIDTH_WORKS: dict[str, Work] = {
    f"w{width}-b{batch}": square(width, batch, family=SQUARES, along=width) for batch in BATCHES for width in WIDTHS
}
INFERENCE: dict[str, Work] = {
    "onerow": Inference("one row through 16-16-16-4 relu", (16, 16, 16, 4), "relu", False, 1, 500),
    "lecture-1": Inference("one row through the lecture net", LECTURE, "sigmoid", True, 1, 100),
    "lecture-32": Inference("32 rows through the lecture net", LECTURE, "sigmoid", True, 32, 30),
    "lecture-1024": Inference("1024 rows through the lecture net", LECTURE, "sigmoid", True, 1024, 5),
}
GROUPS: dict[str, dict[str, Work]] = {"train": TRAIN, "inference": INFERENCE, "widths": WIDTH_WORKS}
WORKS: dict[str, Work] = {name: work for group in GROUPS.values() for name, work in group.items()}
QUICK = ("small", "tiny", "w64-b128", "onerow")


def chosen(names: Iterable[str]) -> dict[str, Work]:
    """The works that names of works and groups mean, in the order of WORKS; of no names, all.

    Raises:
        KeyError: a name is neither.
    """
    wanted = {work for name in names for work in GROUPS.get(name, {name: None})}
    if unknown := wanted - set(WORKS):
        raise KeyError(", ".join(sorted(unknown)))
    return {name: work for name, work in WORKS.items() if not wanted or name in wanted}


def to_json(work: Work) -> dict[str, Any]:
    """A work as plain data, for the worker."""
    return {"kind": type(work).__name__, **asdict(work)}


def from_json(content: Mapping[str, Any]) -> Work:
    """The work that `to_json` gave."""
    fields: dict[str, Any] = {
        name: tuple(value) if name == "sizes" else value for name, value in content.items() if name != "kind"
    }
    return Training(**fields) if content["kind"] == "Training" else Inference(**fields)


def training_data(work: Training) -> tuple[Any, Any, Any]:
    """x, targets, and for classes the labels: the same in every process."""
    import numpy as np

    random = np.random.default_rng(0)
    if not work.classes:
        x = random.standard_normal((work.rows, 4)).astype(np.float32) * np.float32(0.5)
        return x, exponential(x.astype(np.float64)).astype(np.float32), None
    # Classes by a random linear map: learnable, so that losses can be compared.
    x = random.random((work.rows, work.sizes[0]), dtype=np.float32)
    labels = ((x - 0.5) @ random.standard_normal((work.sizes[0], work.sizes[-1]))).argmax(axis=1)
    return x, np.eye(work.sizes[-1], dtype=np.float32)[labels], labels


def exponential(flat: Any) -> Any:
    """exp of 2×2 matrices given as rows of four, by its series."""
    import numpy as np

    matrices = flat.reshape(-1, 2, 2)
    term = result = np.broadcast_to(np.eye(2), matrices.shape)
    for n in range(1, 30):
        term = term @ matrices / n
        result = result + term
    return result.reshape(-1, 4)


def inference_rows(work: Inference, tables: int | None = None) -> Any:
    """The rows to predict, float32; with `tables` so many different sets of them."""
    import numpy as np

    shape = (work.rows, work.sizes[0]) if tables is None else (tables, work.rows, work.sizes[0])
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
