"""JAX: donated buffers; the optimizer by hand, since no optimizer library is faster.

Measured on two cores: weights in one flat array are 10-25 % faster for small nets and slower for the lecture's,
gathering rows inside the scan is as fast or faster than before it, unrolling and one Eigen thread change nothing beyond
noise. Dropout's random numbers by the default generator: "rbg" is slower on a CPU.
"""

from __future__ import annotations

import math
from typing import Any

from benchmarks.peers import Repetition, calls
from benchmarks.works import Inference, Training, Work, inference_rows, training_data

ONE_ARRAY = 100_000  # weights up to which one flat array is faster


def weights_of(work: Work) -> tuple[Any, Any]:
    """The first weights, and a function from them to a list of (kernel, bias)."""
    import jax.numpy as jnp
    import numpy as np
    from jax.flatten_util import ravel_pytree

    random = np.random.default_rng(1)
    tree = []
    for inputs, units in work.layers:
        limit = math.sqrt(6.0 / (inputs + units))
        kernel = random.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        tree.append((jnp.asarray(kernel), jnp.zeros(units, jnp.float32)))
    if sum(kernel.size for kernel, _ in tree) < ONE_ARRAY:
        return ravel_pytree(tree)
    return tree, lambda weights: weights


def outputs_of(work: Work, layers: Any, x: Any, key: Any = None) -> Any:
    """The net before its softmax, with dropout where there is a key."""
    import jax
    import jax.numpy as jnp

    hidden = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}[work.hidden]
    for number, (kernel, bias) in enumerate(layers[:-1]):
        x = hidden(x @ kernel + bias)
        if key is not None:
            assert isinstance(work, Training)
            kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1.0 - work.dropout, x.shape)
            x = jnp.where(kept, x / (1.0 - work.dropout), 0.0)
    kernel, bias = layers[-1]
    return x @ kernel + bias


def updated(work: Training, state: Any, g: Any) -> Any:
    """(weights, slots, time) after one update with the gradient g."""
    import jax
    import jax.numpy as jnp

    w, slots, t = state
    t = t + 1.0
    if work.optimizer == "adam":
        m, v = slots
        alpha = 1e-3 * jnp.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
        m = jax.tree.map(lambda m, g: m + 0.1 * (g - m), m, g)
        v = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), v, g)
        w = jax.tree.map(lambda w, m, v: w - alpha * m / (jnp.sqrt(v) + 1e-7), w, m, v)
        return w, (m, v), t
    (v,) = slots
    v = jax.tree.map(lambda v, g: 0.9 * v + 0.1 * g * g, v, g)
    w = jax.tree.map(lambda w, g, v: w - 1e-3 * g / jnp.sqrt(v + 1e-7), w, g, v)
    return w, (v,), t


def step_of(work: Training) -> tuple[Any, Any]:
    """The first state, and the function state, x, y -> state, loss."""
    import jax
    import jax.numpy as jnp

    weights, layers = weights_of(work)
    key = jax.random.key(1) if work.dropout else None

    def objective(weights: Any, x: Any, y: Any, key: Any) -> Any:
        outputs = outputs_of(work, layers(weights), x, key)
        if work.classes:
            return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(outputs), axis=-1))
        return jnp.mean((outputs - y) ** 2)

    def step(state: Any, x: Any, y: Any) -> Any:
        here = None if key is None else jax.random.fold_in(key, state[2].astype(jnp.int32))
        loss, g = jax.value_and_grad(objective)(state[0], x, y, here)
        return updated(work, state, g), loss

    count = 2 if work.optimizer == "adam" else 1
    slots = tuple(jax.tree.map(jnp.zeros_like, weights) for _ in range(count))
    return (weights, slots, jnp.float32(0.0)), step


def jitted(work: Training, threads: int) -> Repetition:
    """One jitted call per step, which gathers its rows."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    state, step = step_of(work)
    x, y = (jnp.asarray(array) for array in training_data(work)[:2])

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


def scanned(work: Training, threads: int) -> Repetition:
    """One jitted call per epoch; of one-batch epochs, all of a repetition in one call."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    state, step = step_of(work)
    x, y = (jnp.asarray(array) for array in training_data(work)[:2])
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


def predict(work: Inference, threads: int) -> Repetition:
    """One jitted call, waited for."""
    import jax
    import jax.numpy as jnp

    weights, layers = weights_of(work)

    @jax.jit
    def forward(weights: Any, x: Any) -> Any:
        outputs = outputs_of(work, layers(weights), x)
        return jax.nn.softmax(outputs) if work.classes else outputs

    return calls(work, lambda x: forward(weights, x).block_until_ready(), jnp.asarray(inference_rows(work)))
