"""A neural ordinary differential equation: a net learns how a pendulum moves, and compiled code integrates it.

    python scripts/examples/neural_ode.py [--quick]

The net is shown states (angle, speed) and their rates of change; then it is the right-hand side of an integration by
Runge and Kutta's classical method. At rest its Jacobian gives frequency and damping.
"""

from __future__ import annotations

import argparse
from typing import Any

import beside_torch
import numpy as np
from numba import njit

from nbdl import Sequential
from nbdl.layers import Dense

DAMPING = 0.2
STEP = np.float32(0.02)


def pendulum(state: Any) -> Any:
    """Rates of change of (angle, speed): the truth."""
    angle, speed = state[..., 0], state[..., 1]
    return np.stack([speed, -np.sin(angle) - DAMPING * speed], axis=-1)


def learn(quick: bool) -> Sequential:
    """A net that knows `pendulum` from examples."""
    states = np.random.default_rng(0).uniform(-2.5, 2.5, (4_000, 2))
    model = Sequential(seed=1)
    model.add(Dense(32, activation="tanh", input_dim=2))
    model.add(Dense(32, activation="tanh"))
    model.add(Dense(2))
    for rate, epochs in ((3e-3, 60), (3e-4, 40)) if quick else ((3e-3, 300), (3e-4, 200), (3e-5, 100)):
        model.compile(loss="mse", optimizer="adam")
        model.optimizer.learning_rate = rate
        model.fit(states, pendulum(states), epochs=epochs, verbose=0)
    return model


@njit(cache=True)
def integrate(net: Any, start: Any, step: Any, steps: int) -> Any:
    """The path from `start`, a state a row, by Runge and Kutta's method."""
    path = np.empty((steps + 1, net.inputs), np.float32)
    path[0] = start
    for i in range(steps):
        y = path[i]
        k1 = net(y)
        k2 = net(y + step / 2 * k1)
        k3 = net(y + step / 2 * k2)
        k4 = net(y + step * k3)
        path[i + 1] = y + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


def true_path(start: Any, step: float, steps: int) -> Any:
    """The same of the truth, in float64 and with ten times as many steps."""
    path, y = [start], np.asarray(start, np.float64)
    for _ in range(steps):
        for _ in range(10):
            h = step / 10
            k1 = pendulum(y)
            k2 = pendulum(y + h / 2 * k1)
            k3 = pendulum(y + h / 2 * k2)
            k4 = pendulum(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(y)
    return np.array(path)


def compare(model: Sequential, start: Any, steps: int, rounds: int) -> None:
    """The same integration in PyTorch: eager, and with the whole loop in TorchScript."""
    import torch

    class Integrator(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, y: torch.Tensor, h: float, steps: int) -> torch.Tensor:
            path = [y]
            for _ in range(steps):
                k1 = self.net(y)
                k2 = self.net(y + h / 2 * k1)
                k3 = self.net(y + h / 2 * k2)
                k4 = self.net(y + h * k3)
                y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
                path.append(y)
            return torch.stack(path)

    eager, y = Integrator(beside_torch.copied(model)), torch.from_numpy(start)
    script, net, step = beside_torch.scripted(eager), model.as_njit(), float(STEP)
    with torch.inference_mode():
        for loop in (eager, script):
            np.testing.assert_allclose(loop(y, step, steps), integrate(net, start, STEP, steps), atol=1e-4)
        calls = {
            "nbdl": lambda: integrate(net, start, STEP, steps),
            "PyTorch": lambda: eager(y, step, steps),
            "PyTorch, loop in TorchScript": lambda: script(y, step, steps),
        }
        beside_torch.show(f"{steps} steps, {4 * steps} calls of a 2-32-32-2 net", calls, rounds)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Learn, integrate, linearise; returns what the tests look at."""
    parser = argparse.ArgumentParser(description="a neural ODE in compiled code")
    parser.add_argument("--quick", action="store_true", help="train less, measure less")
    quick = parser.parse_args(arguments).quick

    model = learn(quick)
    net = model.as_njit(derivatives=True)
    start, steps = np.array([2.0, 0.0], np.float32), 1_000
    path = integrate(net, start, STEP, steps)
    error = float(np.abs(path - true_path(start, float(STEP), steps)).max())
    print(f"after {steps * STEP:.0f} s the pendulum is at angle {path[-1, 0]:.4f}; never off by more than {error:.4f}")

    rest = np.zeros(2, np.float32)
    mode = complex(max(np.linalg.eigvals(net.jacobian(rest)), key=lambda value: value.imag))
    exact = complex(-DAMPING / 2, np.sqrt(1 - DAMPING**2 / 4))
    print(f"at rest it swings like exp(({mode:.3f})t); the truth is exp(({exact:.3f})t)")

    if beside_torch.INSTALLED:
        compare(model, start, 200 if quick else steps, rounds=3 if quick else 9)
    else:
        print("PyTorch is not installed: nothing to compare with")
    return {"error": error, "mode error": abs(mode - exact)}


if __name__ == "__main__":
    main()
