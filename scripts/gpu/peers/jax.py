"""JAX: a jitted call for each step, or for each epoch a scan over its steps; float32 products ("highest")."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from benchmarks.peers import jax as shared
from benchmarks.works import Training, training_data

from gpu.peers import Runner, first_weights


def make(work: Training, device: str, how: str) -> Runner:
    """Ways: "step" and "scan"."""
    os.environ["JAX_PLATFORMS"] = device
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    shared.ONE_ARRAY = 0  # weights as layers, as these nets are too large for one array to be faster
    return Scan(work) if how == "scan" else Step(work)


class Step:
    """A jitted call for each step, with everything donated; a counter on the device says which rows."""

    transferred = 0.0

    def __init__(self, work: Training) -> None:
        import jax
        import jax.numpy as jnp

        self.work, self.device = work, jax.devices()[0]
        self.before = self._peak()
        (_, slots, time), self.step = shared.step_of(work)
        weights = [(jnp.asarray(kernel), jnp.asarray(bias)) for kernel, bias in first_weights(work)]
        self.state = weights, slots, time
        x, y, _ = training_data(work)
        self.x, self.y = jnp.asarray(x), jnp.asarray(y)
        self.random = np.random.default_rng(1)
        self.jitted = self._compiled()

    def _compiled(self) -> Any:
        import jax

        def one(state: Any, at: Any, total: Any, x: Any, y: Any, order: Any) -> Any:
            rows = jax.lax.dynamic_slice(order, (at * self.work.batch,), (self.work.batch,))
            state, loss = self.step(state, x[rows], y[rows])
            return state, at + 1, total + loss

        return jax.jit(one, donate_argnums=(0, 1, 2))

    def _order(self) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(self.random.permutation(self.work.rows).astype(np.int32))

    def losses(self, count: int) -> list[float]:
        """The total after each step, less the one before."""
        import jax.numpy as jnp

        order, at, totals = jnp.arange(self.work.rows, dtype=jnp.int32), jnp.int32(0), [0.0]
        for _ in range(count):
            self.state, at, total = self.jitted(self.state, at, jnp.float32(0.0), self.x, self.y, order)
            totals.append(float(total))
        return totals[1:]

    def epochs(self, count: int) -> float:
        """A call for each step."""
        import jax.numpy as jnp

        mean = 0.0
        for _ in range(count):
            order, at, total = self._order(), jnp.int32(0), jnp.float32(0.0)
            for _ in range(self.work.steps):
                self.state, at, total = self.jitted(self.state, at, total, self.x, self.y, order)
            mean = float(total) / self.work.steps
        return mean

    def memory(self) -> int:
        """XLA's allocator, where it tells; its peak cannot be set back, so it counts where it is a new one."""
        return peak if (peak := self._peak()) > self.before else 0

    def _peak(self) -> int:
        return int((self.device.memory_stats() or {}).get("peak_bytes_in_use", 0))

    def product(self, a: Any, b: Any) -> Any:
        """jnp.matmul."""
        import jax.numpy as jnp

        return np.asarray(jnp.matmul(jnp.asarray(a), jnp.asarray(b)))


class Scan(Step):
    """A call for each epoch."""

    def _compiled(self) -> Any:
        import jax

        def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
            return jax.lax.scan(lambda s, rows: self.step(s, x[rows], y[rows]), state, order)

        return jax.jit(epoch, donate_argnums=0)

    def losses(self, count: int) -> list[float]:
        """One call of so many steps."""
        order = np.arange(count * self.work.batch, dtype=np.int32).reshape(count, self.work.batch)
        self.state, losses = self.jitted(self.state, self.x, self.y, order)
        return [float(one) for one in losses]

    def epochs(self, count: int) -> float:
        """A call for each epoch."""
        mean = 0.0
        for _ in range(count):
            order = self._order().reshape(self.work.steps, self.work.batch)
            self.state, losses = self.jitted(self.state, self.x, self.y, order)
            mean = float(losses.mean())
        return mean
