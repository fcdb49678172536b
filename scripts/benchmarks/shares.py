"""What each optimizer, loss, normalisation and metric costs: its share of a training step, from nbdl's own profile.

Each stands alone in the net of Keras's mnist_mlp, 784-512-512-10 relu, at batch 128; layers stand behind both hidden
layers. Times are on one thread; the net around is the same, so shares can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

SIZES, BATCH = (784, 512, 512, 10), 128
USUAL = ("forward", "loss", "backward", "check")  # phases of a step before the optimizer's


@dataclass(frozen=True)
class Cost:
    """µs of a unit's own operations, and of all operations of the step."""

    name: str
    us: float
    step_us: float

    @property
    def share(self) -> float:
        return self.us / self.step_us


def report(seconds: float = 0.5) -> Iterator[str]:
    """Markdown tables, a family each, the cheapest first."""
    yield f"Net {'-'.join(map(str, SIZES))} relu, batch {BATCH}, one thread; µs of a step and share of its operations."
    for title, costs in (
        ("optimizer", optimizers(seconds)),
        ("loss", losses(seconds)),
        ("layer, behind both hidden layers", layers(seconds)),
        ("metric", metrics(seconds)),
    ):
        yield f"\n| {title} | µs | share of the step |\n|---|---:|---:|"
        for cost in sorted(costs, key=lambda cost: cost.us):
            yield f"| {cost.name} | {cost.us:,.1f} | {cost.share:.1%} |"


def optimizers(seconds: float) -> Iterator[Cost]:
    """Each with its defaults, and with what may be asked of all."""
    from nbdl.optimizers import Adam
    from nbdl.units.registry import registry

    every = [(entry.name, entry.target()) for entry in own(registry.entries("optimizers"))]
    options: tuple[dict[str, Any], ...] = (
        {"weight_decay": 0.004}, {"clipvalue": 1.0}, {"clipnorm": 1.0}, {"global_clipnorm": 1.0}, {"use_ema": True},
        {"gradient_accumulation_steps": 4}, {"amsgrad": True},
    )  # fmt: skip
    every += [(f"Adam({name}={value})", Adam(**{name: value})) for one in options for name, value in one.items()]
    for name, optimizer in every:
        profile = profiled(seconds, optimizer=optimizer)
        yield cost(name, profile, (one for one in profile.operations if one.phase not in USUAL))


def losses(seconds: float) -> Iterator[Cost]:
    """Each with the last activation that suits it; its value and its derivative."""
    import numpy as np

    from nbdl.testing.data import loss_data
    from nbdl.units.registry import registry

    for entry in own(registry.entries("losses")):
        loss = entry.target()
        y, p = loss_data(loss, entry.options, BATCH, SIZES[-1], np.random.default_rng(0))
        probabilities = p.min() >= 0.0 and np.allclose(p.sum(axis=1), 1.0, atol=1e-3)
        last = next(iter(loss.pairs), "softmax" if probabilities else "softplus" if p.min() >= 0.0 else "linear")
        profile = profiled(seconds, loss=loss, last=last, y=y)
        yield cost(f"{entry.name} after {last}", profile, (one for one in profile.operations if one.layer == "loss"))


def layers(seconds: float) -> Iterator[Cost]:
    """Normalisations and noise: forward and backward."""
    from nbdl.layers import (
        AlphaDropout,
        BatchNormalization,
        Dropout,
        GaussianDropout,
        GaussianNoise,
        LayerNormalization,
        RMSNormalization,
    )

    made = {
        "Dropout": lambda: Dropout(0.2),
        "GaussianNoise": lambda: GaussianNoise(0.1),
        "GaussianDropout": lambda: GaussianDropout(0.2),
        "AlphaDropout": lambda: AlphaDropout(0.2),
        "BatchNormalization": BatchNormalization,
        "LayerNormalization": LayerNormalization,
        "RMSNormalization": RMSNormalization,
    }
    for name, make in made.items():
        profile = profiled(seconds, between=make)
        yield cost(name, profile, (one for one in profile.operations if one.layer.startswith("between")))


def metrics(seconds: float) -> Iterator[Cost]:
    """Each beside crossentropy, on one-hot targets."""
    from nbdl.testing.subject import subjects
    from nbdl.units.registry import registry

    for entry in own(registry.entries("metrics")):
        if entry.options.get("targets", "one-hot") != "one-hot":
            continue
        subject = subjects(entry)[0]  # with its defaults, or an example where it needs arguments
        profile = profiled(seconds, metrics=[entry.target(**subject.arguments, name="metric")])
        yield cost(str(subject), profile, (one for one in profile.operations if one.layer == "metric"))


def own(entries: Iterable[Any]) -> list[Any]:
    """The units that come with nbdl."""
    return [entry for entry in entries if entry.owner.distribution == "nbdl"]


def cost(name: str, profile: Any, operations: Iterable[Any]) -> Cost:
    """The cost of some operations of a profile."""
    return Cost(name, sum(one.us for one in operations), profile.operations_us)


def profiled(
    seconds: float,
    optimizer: Any = "adam",
    loss: Any = "categorical_crossentropy",
    last: str = "softmax",
    y: Any = None,
    between: Any = None,
    metrics: Any = (),
) -> Any:
    """A profile of the net with one thing changed."""
    import numpy as np

    from nbdl import Sequential
    from nbdl.layers import Dense

    model = Sequential(seed=1)
    for number, units in enumerate(SIZES[1:-1]):
        model.add(Dense(units, activation="relu", **({} if number else {"input_dim": SIZES[0]})))
        if between is not None:
            layer = between()
            layer.name = f"between_{number}"
            model.add(layer)
    model.add(Dense(SIZES[-1], activation=last))
    model.compile(optimizer, loss, metrics=list(metrics))
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, SIZES[0]), dtype=np.float32)
    targets = np.eye(SIZES[-1], dtype=np.float32)[rng.integers(0, SIZES[-1], BATCH)] if y is None else y
    return model.profile(x, targets, batch_size=BATCH, seconds=seconds, threads=1)
