"""The referee: nbdl beside its peers on the same nets, data and batches, in one interleaved run.

    python scripts/bench.py                                 # everything that is installed
    python scripts/bench.py --rounds 9 --json result.json
    python scripts/bench.py --only small matexp --peers nbdl jax-scan

How it measures:

- Every peer lives in a process of its own, so that thread pools do not mix; it is asked for one timed measurement at
  a time and waits on a pipe in between. Rounds go A B C A B C ..., every other round backwards. A worker that used
  the processor while it should have waited is reported.
- A repetition is the same work for everyone: so many epochs over the same float32 arrays in batches of the same
  size, in a new random order each epoch, with the mean loss as a Python float at its end. Each measurement repeats
  it until `--seconds` have passed. Compiling and first calls are not measured (see startup.py).
- nbdl is measured as it is used: `model.fit(..., verbose=0)`, with all that fit does around the steps.
- Peers run at the best setting found for each; their sections say which. Losses after the same number of epochs
  are shown, so that everyone is seen to train.
- "products alone" is not a peer: the matrix products of a step and nothing else, by the BLAS that NumPy brings. "nbdl
  engine" is the same engine without fit's loop.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Repetition = Callable[[], float]

# -- the work -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """Training a dense net with Adam; classes are one-hot with crossentropy, else mean squared error."""

    title: str
    sizes: tuple[int, ...]
    hidden: str
    classes: bool
    rows: int
    batch: int
    epochs: int  # of one repetition
    unit: str  # "step" or "epoch"

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
    def layers(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer."""
        return list(zip(self.sizes, self.sizes[1:], strict=False))


@dataclass(frozen=True)
class OneRow:
    """Predicting one row, input and output in the peer's own kind of array."""

    title: str
    sizes: tuple[int, ...]
    hidden: str
    units: int  # calls of one repetition
    unit: str = "call"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer."""
        return list(zip(self.sizes, self.sizes[1:], strict=False))


Work = Training | OneRow

WORKS: dict[str, Work] = {
    "lecture": Training(
        "lecture net 784-500-500-10 sigmoid/softmax, batch 100",
        (784, 500, 500, 10),
        "sigmoid",
        classes=True,
        rows=12_000,
        batch=100,
        epochs=1,
        unit="step",
    ),
    "small": Training("small net 64-32-32-10 relu, batch 32", (64, 32, 32, 10), "relu", True, 6_400, 32, 5, "step"),
    "matexp": Training(
        "matrix exponential 4-32-16-4 tanh, all 10 000 rows", (4, 32, 16, 4), "tanh", False, 10_000, 10_000, 50, "epoch"
    ),
    "onerow": OneRow("one row through 16-16-16-4 relu", (16, 16, 16, 4), "relu", 500),
}


def data(work: Training) -> tuple[Any, Any, Any]:
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


# -- nbdl ---------------------------------------------------------------------------------------------------


def nbdl_model(work: Work) -> Any:
    """The net, compiled unless it only predicts."""
    from nbdl import Sequential
    from nbdl.layers import Dense

    last = len(work.layers) - 1
    classes = isinstance(work, Training) and work.classes
    activations = [work.hidden] * last + ["softmax" if classes else "linear"]
    layers = [
        Dense(units, activation=activation, input_dim=inputs)
        for (inputs, units), activation in zip(work.layers, activations, strict=True)
    ]
    model = Sequential(layers, seed=1)
    if isinstance(work, Training):
        model.compile(loss="categorical_crossentropy" if classes else "mse", optimizer="adam")
    return model


def nbdl(work: Work, threads: int) -> Repetition | None:
    """Public API: fit with verbose=0; model(x)."""
    model = nbdl_model(work)
    if isinstance(work, OneRow):
        return calls(work, model, one_row(work))
    x, y, _ = data(work)

    def repetition() -> float:
        history = model.fit(
            x, y, batch_size=work.batch, epochs=work.epochs, verbose=0, shuffle=work.shuffled, threads=threads
        )
        return float(history.history["loss"][-1])

    return repetition


def nbdl_predict(work: Work, threads: int) -> Repetition | None:
    """model.predict, which is made for many rows."""
    if isinstance(work, Training):
        return None
    return calls(work, nbdl_model(work).predict, one_row(work))


def nbdl_engine(work: Work, threads: int) -> Repetition | None:
    """The executor alone, on tables made beforehand: what fit's loop costs is the difference. Private names."""
    if isinstance(work, OneRow):
        return None
    import numpy as np

    from nbdl import inference, training
    from nbdl.engine.executors import Batches

    model = nbdl_model(work)
    x, y, _ = data(work)
    fit = training.Fit(model, [x, y, np.ones(work.rows, np.float32)], None, work.batch, work.shuffled, threads)
    order = np.random.default_rng(1).permutation(work.rows)
    steps, _, log = inference.tables(work.rows, work.batch, order, 1, fit.program.log_width)

    def repetition() -> float:
        for _ in range(work.epochs):
            steps[:, 2] = fit.state.iterations + 1 + np.arange(len(steps))
            fit.executor.run(Batches(steps, fit._scalars(steps), log, fit.data, None, model.seed), threads)
            fit.state.iterations += len(steps)
        assert order.size  # the tables hold its address, so it must live
        return float(log[:, 0].sum() / work.rows)

    return repetition


# -- PyTorch ------------------------------------------------------------------------------------------------
# Fused Adam, rows put in order once per epoch and split into views, the loss kept as a tensor until the epoch ends.


def torch_net(work: Work, threads: int) -> Any:
    """The net, without a softmax: its loss has one."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    hidden = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[work.hidden]
    parts: list[Any] = []
    for inputs, units in work.layers:
        parts += [torch.nn.Linear(inputs, units), hidden()]
    return torch.nn.Sequential(*parts[:-1])


def torch_eager(work: Work, threads: int, compiled: bool = False) -> Repetition | None:
    """Eager, or with forward pass and loss through torch.compile."""
    import torch

    net = torch_net(work, threads)
    if isinstance(work, OneRow):
        function = torch.compile(net) if compiled else net
        with torch.inference_mode():
            function(torch.from_numpy(one_row(work)))

        def many() -> float:
            row = torch.from_numpy(one_row(work))
            with torch.inference_mode():
                for _ in range(work.units):
                    function(row)
            return math.nan

        return many
    x, y, labels = data(work)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels if work.classes else y)
    criterion = torch.nn.CrossEntropyLoss() if work.classes else torch.nn.MSELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def forward(x: Any, y: Any) -> Any:
        return criterion(net(x), y)

    objective = torch.compile(forward) if compiled else forward

    def repetition() -> float:
        for _ in range(work.epochs):
            order = torch.randperm(work.rows) if work.shuffled else None
            xs, ys = (inputs, targets) if order is None else (inputs[order], targets[order])
            total = torch.zeros(())
            for x, y in zip(xs.split(work.batch), ys.split(work.batch), strict=True):
                loss = objective(x, y)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach()
            mean = float(total) / work.steps
        return mean

    return repetition


def torch_compiled(work: Work, threads: int) -> Repetition | None:
    """The same with torch.compile; needs a C++ compiler and minutes."""
    return torch_eager(work, threads, compiled=True)


# -- JAX ----------------------------------------------------------------------------------------------------
# Donated buffers; Adam by hand (no optimizer library is faster). Measured on two cores: weights in one flat array are
# 10-25 % faster for the small nets and slower for the lecture's, gathering rows inside the scan is as fast or faster
# than before it, unrolling and one Eigen thread change nothing beyond noise.


def jax_step(work: Work) -> tuple[Any, Any, Any]:
    """First state, a function state, x, y -> state, loss, and the prediction."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.flatten_util import ravel_pytree

    random = np.random.default_rng(1)
    tree = []
    for inputs, units in work.layers:
        limit = math.sqrt(6.0 / (inputs + units))
        kernel = random.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        tree.append((jnp.asarray(kernel), jnp.zeros(units, jnp.float32)))
    flat, unravel = ravel_pytree(tree)
    one_array = sum(kernel.size for kernel, _ in tree) < 100_000
    hidden = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}[work.hidden]
    classes = isinstance(work, Training) and work.classes

    def predict(weights: Any, x: Any) -> Any:
        layers = unravel(weights) if one_array else weights
        for kernel, bias in layers[:-1]:
            x = hidden(x @ kernel + bias)
        kernel, bias = layers[-1]
        return x @ kernel + bias

    def objective(weights: Any, x: Any, y: Any) -> Any:
        outputs = predict(weights, x)
        if classes:
            return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(outputs), axis=-1))
        return jnp.mean((outputs - y) ** 2)

    def step(state: Any, x: Any, y: Any) -> Any:
        w, m, v, t = state
        loss, g = jax.value_and_grad(objective)(w, x, y)
        t = t + 1.0
        alpha = 1e-3 * jnp.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
        m = jax.tree.map(lambda m, g: m + 0.1 * (g - m), m, g)
        v = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), v, g)
        w = jax.tree.map(lambda w, m, v: w - alpha * m / (jnp.sqrt(v) + 1e-7), w, m, v)
        return (w, m, v, t), loss

    weights = flat if one_array else tree
    zeros = jax.tree.map(jnp.zeros_like, weights), jax.tree.map(jnp.zeros_like, weights)
    return (weights, *zeros, jnp.float32(0.0)), step, predict


def jax_jitted(work: Work, threads: int) -> Repetition | None:
    """One jitted call per step (which gathers its rows), or per row."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    state, step, predict = jax_step(work)
    if isinstance(work, OneRow):
        jitted = jax.jit(predict)
        weights, row = state[0], jnp.asarray(one_row(work))
        return calls(work, lambda x: jitted(weights, x).block_until_ready(), row)
    x, y = (jnp.asarray(array) for array in data(work)[:2])

    def one(state: Any, at: Any, total: Any, x: Any, y: Any, order: Any) -> Any:
        if work.shuffled:
            rows = jax.lax.dynamic_slice(order, (at * work.batch,), (work.batch,))
            x, y = x[rows], y[rows]
        state, loss = step(state, x, y)
        return state, at + 1, total + loss

    jitted = jax.jit(one, donate_argnums=(0, 1, 2))
    random = np.random.default_rng(1)

    def repetition() -> float:
        nonlocal state
        for _ in range(work.epochs):
            order = jnp.asarray(random.permutation(work.rows).astype(np.int32))
            at, total = jnp.int32(0), jnp.float32(0.0)
            for _ in range(work.steps):
                state, at, total = jitted(state, at, total, x, y, order)
            mean = float(total) / work.steps
        return mean

    return repetition


def jax_scanned(work: Work, threads: int) -> Repetition | None:
    """One jitted call per epoch; of one-batch epochs, all of a repetition in one call."""
    if isinstance(work, OneRow):
        return None
    import jax
    import jax.numpy as jnp
    import numpy as np

    state, step, _ = jax_step(work)
    x, y = (jnp.asarray(array) for array in data(work)[:2])
    random = np.random.default_rng(1)

    def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
        if not work.shuffled:
            return jax.lax.scan(lambda s, _: step(s, x, y), state, None, length=work.epochs)
        return jax.lax.scan(lambda s, rows: step(s, x[rows], y[rows]), state, order.reshape(-1, work.batch))

    jitted = jax.jit(epoch, donate_argnums=0)

    def repetition() -> float:
        nonlocal state
        for _ in range(work.epochs if work.shuffled else 1):
            order = random.permutation(work.rows).astype(np.int32) if work.shuffled else None
            state, losses = jitted(state, x, y, order)
            mean = float(losses.mean()) if work.shuffled else float(losses[-1])
        return mean

    return repetition


# -- Keras on JAX ------------------------------------------------------------------------------------------


def keras(work: Work, threads: int) -> Repetition | None:
    """Jitted by default; one row by predict_on_batch, which is faster than predict."""
    import keras

    keras.utils.set_random_seed(1)
    classes = isinstance(work, Training) and work.classes
    last = len(work.layers) - 1
    activations = [work.hidden] * last + ["softmax" if classes else "linear"]
    layers = [keras.layers.Dense(u, activation=a) for (_, u), a in zip(work.layers, activations, strict=True)]
    net = keras.Sequential([keras.layers.Input((work.sizes[0],)), *layers])
    if isinstance(work, OneRow):
        return calls(work, net.predict_on_batch, one_row(work))
    net.compile(loss="categorical_crossentropy" if classes else "mse", optimizer=keras.optimizers.Adam(1e-3))
    x, y, _ = data(work)

    def repetition() -> float:
        history = net.fit(x, y, batch_size=work.batch, epochs=work.epochs, verbose=0, shuffle=work.shuffled)
        return float(history.history["loss"][-1])

    return repetition


# -- scikit-learn ------------------------------------------------------------------------------------------


def sklearn(work: Work, threads: int) -> Repetition | None:
    """partial_fit, which is an epoch; float32 stays float32."""
    import warnings

    import numpy as np
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    hidden = {"sigmoid": "logistic", "relu": "relu", "tanh": "tanh"}[work.hidden]
    if isinstance(work, OneRow):
        net = MLPRegressor(hidden_layer_sizes=work.sizes[1:-1], activation=hidden, random_state=1)
        net.partial_fit(np.zeros((200, work.sizes[0]), np.float32), np.zeros((200, work.sizes[-1]), np.float32))
        return calls(work, net.predict, one_row(work))
    x, y, labels = data(work)
    make = MLPClassifier if work.classes else MLPRegressor
    net = make(
        hidden_layer_sizes=work.sizes[1:-1], activation=hidden, solver="adam", alpha=0.0, batch_size=work.batch,
        epsilon=1e-7, shuffle=work.shuffled, random_state=1,
    )  # fmt: skip
    scale = 1.0 if work.classes else 2.0  # its squared error is halved
    targets = {"y": labels, "classes": np.arange(work.sizes[-1])} if work.classes else {"y": y}

    def repetition() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(work.epochs):
                net.partial_fit(x, **targets)
        return scale * float(net.loss_)

    return repetition


# -- NumPy ---------------------------------------------------------------------------------------------------


def numpy(work: Work, threads: int) -> Repetition | None:
    """One row by hand; for training, only the matrix products of a step, into arrays made beforehand."""
    import numpy as np

    random = np.random.default_rng(1)
    kernels = [random.standard_normal(shape).astype(np.float32) for shape in work.layers]
    if isinstance(work, OneRow):
        biases = [np.zeros(units, np.float32) for _, units in work.layers]

        def forward(x: Any) -> Any:
            for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
                x = np.maximum(x @ kernel + bias, 0.0)
            return x @ kernels[-1] + biases[-1]

        return calls(work, forward, one_row(work))
    if 2 * work.batch * min(inputs * units for inputs, units in work.layers) < 1_000_000:
        return None  # calling the products would cost more than they do
    values = [random.standard_normal((work.batch, size)).astype(np.float32) for size in work.sizes]
    gradients = [np.empty_like(kernel) for kernel in kernels]

    def repetition() -> float:
        for _ in range(work.epochs * work.steps):
            for number, kernel in enumerate(kernels):
                np.matmul(values[number], kernel, out=values[number + 1])
            for number in reversed(range(len(kernels))):
                np.matmul(values[number].T, values[number + 1], out=gradients[number])
                if number:
                    np.matmul(values[number + 1], kernels[number].T, out=values[number])
            values[0][...] = 1.0
            for value in values:
                value *= np.float32(1e-3)  # keeps the numbers finite
        return math.nan

    return repetition


# -- the peers ---------------------------------------------------------------------------------------------


def one_row(work: OneRow) -> Any:
    """The row, with its leading axis."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((1, work.sizes[0])).astype(np.float32)


def calls(work: OneRow, function: Callable[[Any], Any], row: Any) -> Repetition:
    """A repetition of that many calls."""

    def repetition() -> float:
        for _ in range(work.units):
            function(row)
        return math.nan

    return repetition


@dataclass(frozen=True)
class Peer:
    """Who is measured: a function that makes a repetition of some work, or None where it has no part in it."""

    label: str  # when it trains
    one_row: str  # when it predicts one row
    package: str
    make: Callable[[Work, int], Repetition | None]
    distributions: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False


PEERS: dict[str, Peer] = {
    "nbdl": Peer("**nbdl** `fit`", "**nbdl** `model(x)`", "nbdl", nbdl, ("nbdl", "numba", "numpy", "scipy")),
    "nbdl-predict": Peer("", "nbdl `predict`", "nbdl", nbdl_predict, ("nbdl",)),
    "nbdl-engine": Peer("nbdl engine alone", "", "nbdl", nbdl_engine, ("nbdl",)),
    "jax-scan": Peer("JAX, scanned epoch", "", "jax", jax_scanned, ("jax", "jaxlib")),
    "jax-step": Peer("JAX, jitted step", "JAX, jitted", "jax", jax_jitted, ("jax", "jaxlib")),
    "keras": Peer(
        "Keras on JAX", "Keras on JAX, `predict_on_batch`", "keras", keras, ("keras", "jax"), {"KERAS_BACKEND": "jax"}
    ),
    "torch": Peer("PyTorch eager, fused Adam", "PyTorch eager", "torch", torch_eager, ("torch",)),
    "torch-compile": Peer(
        "PyTorch compiled, fused Adam", "PyTorch compiled", "torch", torch_compiled, ("torch",), optional=True
    ),
    "sklearn": Peer("scikit-learn", "scikit-learn", "sklearn", sklearn, ("scikit-learn",)),
    "numpy": Peer("products alone, NumPy's BLAS", "NumPy", "numpy", numpy, ("numpy",)),
}
REFERENCE = "nbdl"

# -- worker: one peer in a process of its own ----------------------------------------------------------------


def worker(name: str, threads: int) -> None:
    """Answer requests, a JSON line each: prepare a work, or measure it once."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    prepared: dict[str, Repetition] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = _answer(request, name, threads, prepared)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(request: dict[str, Any], name: str, threads: int, prepared: dict[str, Repetition]) -> dict[str, Any]:
    what = request["work"]
    if request["do"] == "prepare":
        made = PEERS[name].make(WORKS[what], threads)
        if made is None:
            return {"part": False}
        loss = made()
        made()  # caches, frequencies, whatever the first call leaves to the second
        prepared[what] = made
        return {"part": True, "loss": loss, "blas": _blas()}
    repetition, count, loss = prepared[what], 0, math.nan
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < request["seconds"] or not count:
        loss = repetition()
        count += 1
    return {"seconds": elapsed / count, "repetitions": count, "loss": loss}


def _blas() -> list[str]:
    """The BLAS libraries in this process and the kernels that they chose."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    found = [i for i in threadpool_info() if i["user_api"] == "blas"]
    return sorted({f"{i['internal_api']} {i['version']} {i.get('architecture', '')}".strip() for i in found})


# -- referee -------------------------------------------------------------------------------------------------


class Process:
    """A worker and the pipe to it."""

    def __init__(self, name: str, threads: int, environment: Mapping[str, str]) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name, "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**environment, **PEERS[name].environment},
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        return dict(json.loads(line)) if line else {"error": f"the process ended with status {self.process.wait()}"}

    def cpu_seconds(self) -> float:
        """Processor time used so far, or 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


@dataclass
class Result:
    """What one peer needed for one work, in seconds per unit, a sample per round."""

    work: str
    peer: str
    loss: float
    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)


def referee(options: argparse.Namespace, say: Callable[[str], None]) -> tuple[list[Result], dict[str, Any]]:
    """Run the rounds; return the results and what is known of the machine."""
    environment = worker_environment(options)
    chosen = [name for name in options.peers or PEERS if wanted(name, options, say)]
    processes = [Process(name, options.threads, environment) for name in chosen]
    results: list[Result] = []
    blas: dict[str, list[str]] = {}
    idle = dict.fromkeys(chosen, 0.0)
    load = [os.getloadavg()[0]] if hasattr(os, "getloadavg") else []
    try:
        for what in options.only or WORKS:
            taking: list[tuple[Process, Result]] = []
            for process in processes:
                answer = process.ask(do="prepare", work=what)
                if "error" in answer:
                    say(f"{what}: {process.name} left out: {answer['error']}")
                elif answer["part"]:
                    blas[process.name] = answer["blas"]
                    taking.append((process, Result(what, process.name, answer["loss"])))
            for number in range(options.rounds):
                for process, result in taking[:: -1 if number % 2 else 1]:
                    time.sleep(0.05)  # let the one before come to rest: pools spin for a while
                    before = {p.name: p.cpu_seconds() for p in processes}
                    answer = process.ask(do="measure", work=what, seconds=options.seconds)
                    for other in processes:
                        if other is not process:
                            idle[other.name] += other.cpu_seconds() - before[other.name]
                    if "error" in answer:
                        say(f"{what}: {process.name}: {answer['error']}")
                    else:
                        result.samples.append(answer["seconds"] / WORKS[what].units)
                say(f"{what}: round {number + 1} of {options.rounds}")
            results += [result for _, result in taking if result.samples]
    finally:
        for process in processes:
            process.close()
    if hasattr(os, "getloadavg"):
        load.append(os.getloadavg()[0])
    return results, {**facts(options, chosen, environment), "load": load, "waiting": idle, "blas": blas}


def wanted(name: str, options: argparse.Namespace, say: Callable[[str], None]) -> bool:
    """Whether a peer takes part: installed, and asked for where it is optional."""
    peer = PEERS[name]
    if peer.optional and not (options.peers or options.torch_compile):
        return False
    if importlib.util.find_spec(peer.package) is None:
        say(f"{name} is left out: {peer.package} is not installed")
        return False
    return True


def worker_environment(options: argparse.Namespace) -> dict[str, str]:
    """This environment, with the same number of threads for everybody."""
    environment = dict(os.environ)
    for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        environment[f"{pool}_NUM_THREADS"] = str(options.threads)
    if options.native_blas:
        environment.pop("OPENBLAS_CORETYPE", None)
    return environment


def facts(options: argparse.Namespace, peers: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Machine, versions and settings."""
    distributions = sorted({name for peer in peers for name in PEERS[peer].distributions})
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: importlib.metadata.version(name) for name in distributions},
        "openblas": {name: value for name, value in sorted(environment.items()) if name.startswith("OPENBLAS_")},
        "native_blas": options.native_blas,
        "coretype_outside": os.environ.get("OPENBLAS_CORETYPE"),
    }


def processor() -> str:
    """The processor's name, with its widest vector instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    lines = dict(line.partition(":")[::2] for line in text.splitlines() if ":" in line)
    lines = {name.strip(): value.strip() for name, value in lines.items()}
    flags = lines.get("flags", "").split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else ""
    model = ", family {cpu family} model {model}".format(**lines) if "cpu family" in lines else ""
    return f"{lines.get('model name', platform.machine())}{model} {vectors}".strip()


# -- report --------------------------------------------------------------------------------------------------


def header(known: Mapping[str, Any]) -> Iterator[str]:
    """The facts as a Markdown list."""
    yield f"- {known['processor']}, {known['cores']} cores, {known['threads']} threads each; {known['system']}"
    yield "- " + ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    load = ", ".join(f"{value:.2f}" for value in known["load"])
    yield f"- {known['rounds']} interleaved rounds of {known['seconds']:g} s; load average before and after: {load}"
    if known["load"] and known["load"][0] > 0.5:
        yield "- **the machine was not quiet**: others ran beside this, which hurts whoever needs all cores at once"
    waiting = [f"{name} {seconds:.2f} s" for name, seconds in known["waiting"].items() if seconds >= 0.05]
    yield f"- processor time used while waiting: {', '.join(waiting) or 'none'}"
    chosen = ", ".join(f"{name}={value}" for name, value in known["openblas"].items())
    if known["native_blas"] and known["coretype_outside"]:
        chosen += f" (OPENBLAS_CORETYPE={known['coretype_outside']} was removed for this run: native kernels)"
    elif known["coretype_outside"]:
        chosen += " (OPENBLAS_CORETYPE was left as it is; it concerns nbdl, NumPy and scikit-learn alone)"
    else:
        chosen += " (OPENBLAS_CORETYPE is not set: native kernels)"
    yield f"- {chosen}"
    kinds: dict[str, list[str]] = {}
    for peer, libraries in known["blas"].items():
        kinds.setdefault("; ".join(libraries) or "none that is known", []).append(peer)
    for libraries, peers in kinds.items():
        yield f"- BLAS in {', '.join(peers)}: {libraries}"


def table(results: list[Result]) -> Iterator[str]:
    """A table for each work; ratios are medians of the ratios round by round."""
    for what in dict.fromkeys(result.work for result in results):
        work = WORKS[what]
        rows = [result for result in results if result.work == what]
        base = next((result for result in rows if result.peer == REFERENCE), None)
        yield f"\n### {work.title}\n"
        trains = isinstance(work, Training)
        yield f"| | µs per {work.unit} | min–max | peer / nbdl |{' first loss |' * trains}"
        yield f"|---|---:|---:|---:|{'---:|' * trains}"
        for row in rows:
            span = f"{digits(min(row.samples))}–{digits(max(row.samples))}"
            ratio = "" if base is None or row is base else f"{ratio_of(row, base):.2f}"
            loss = "|" if math.isnan(row.loss) else f"{row.loss:.4f} |"
            peer = PEERS[row.peer]
            label = peer.label if trains else peer.one_row
            yield f"| {label} | {digits(row.median)} | {span} | {ratio} |{f' {loss}' * trains}"


def ratio_of(row: Result, base: Result) -> float:
    """How many times longer than the reference, as the median over the rounds."""
    return statistics.median(a / b for a, b in zip(row.samples, base.samples, strict=False))


def digits(seconds: float) -> str:
    """Microseconds with three digits, and none behind the point from 100 on."""
    micro = seconds * 1e6
    return f"{micro:,.0f}".replace(",", " ") if micro >= 100 else f"{micro:.3g}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--only", nargs="+", choices=WORKS, metavar="WORK", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--peers", nargs="+", choices=PEERS, metavar="PEER", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (default 7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="least length of a measurement (default 0.5)")
    parser.add_argument("--threads", type=int, default=cores, help="threads and cores for everyone (default all)")
    parser.add_argument("--native-blas", action="store_true", help="take OPENBLAS_CORETYPE from the workers")
    parser.add_argument("--torch-compile", action="store_true", help="torch.compile too; takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file")
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.threads)
        return 0
    results, known = referee(options, lambda text: print(text, file=sys.stderr))
    print("\n".join([*header(known), *table(results)]))
    if options.json:
        works = {name: asdict(work) for name, work in WORKS.items()}
        content = {"facts": known, "works": works, "results": [{**asdict(r), "median": r.median} for r in results]}
        options.json.write_text(json.dumps(content, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
