"""A pole on a cart: a net learns to balance it, in a simulation that is compiled with the net inside.

    python scripts/examples/cart_pole.py [--quick]

Nobody shows the net what to do. Each generation tries many sets of weights, lets each balance from many starts, all
episodes in parallel, and goes on from the best (the cross-entropy method). The simulation sees new weights at once.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import beside_torch
import numpy as np
from numba import njit, prange

from nbdl import Sequential
from nbdl.layers import Dense

# Barto, Sutton and Anderson 1983: metres, kilogrammes, seconds, newtons.
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
TRACK, FALLEN = 2.4, 12 * np.pi / 180
TOTAL, MOMENT = CART + POLE, POLE * HALF_LENGTH


@njit(cache=True)
def episode(net: Any, start: Any, steps: int) -> float:
    """How long the pole stays up, in steps, less a little for being off the middle."""
    state, push, score = start.copy(), np.empty(1, np.float32), 0.0
    for _ in range(steps):
        force = FORCE * net(state, push)[0]
        x, speed, angle, turning = state
        sine, cosine = np.sin(angle), np.cos(angle)
        common = (force + MOMENT * turning**2 * sine) / TOTAL
        spin = (GRAVITY * sine - cosine * common) / (HALF_LENGTH * (4 / 3 - POLE * cosine**2 / TOTAL))
        state[0] = x + STEP * speed
        state[1] = speed + STEP * (common - MOMENT * spin * cosine / TOTAL)
        state[2] = angle + STEP * turning
        state[3] = turning + STEP * spin
        if abs(state[0]) > TRACK or abs(state[2]) > FALLEN:
            break
        score += 1.0 - 0.1 * abs(state[0]) / TRACK
    return score


@njit(cache=True, parallel=True)
def episodes(net: Any, starts: Any, steps: int) -> Any:
    """The score of an episode from each start, on all cores."""
    scores = np.empty(len(starts))
    for i in prange(len(starts)):
        scores[i] = episode(net, starts[i], steps)
    return scores


def some_starts(count: int, seed: int) -> Any:
    """States near the upright one, at rest or nearly so."""
    return np.random.default_rng(seed).uniform(-0.15, 0.15, (count, 4)).astype(np.float32)


def learn(quick: bool) -> Sequential:
    """Weights that balance, by the cross-entropy method."""
    model = Sequential([Dense(8, activation="tanh", input_dim=4), Dense(1, activation="tanh")], seed=1)
    net, random = model.as_njit(), np.random.default_rng(0)
    shapes = [weight.shape for weight in model.get_weights()]
    ends = np.cumsum([np.prod(shape) for shape in shapes])

    def put(weights: Any) -> None:
        parts = np.split(weights, ends[:-1])
        model.set_weights([part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])

    mean, spread = np.zeros(ends[-1]), np.ones(ends[-1])
    for generation in range(15 if quick else 30):
        starts, scores = some_starts(32, seed=generation), []
        candidates = mean + spread * random.normal(size=(64, ends[-1]))
        for candidate in candidates:
            put(candidate)
            scores.append(episodes(net, starts, 500).mean())
        best = candidates[np.argsort(scores)[-8:]]
        mean, spread = best.mean(axis=0), best.std(axis=0) + 0.02
    put(mean)
    return model


def compare(model: Sequential, steps: int, count: int, rounds: int) -> None:
    """One episode and many, in PyTorch: the loop in TorchScript, and all episodes as one batch."""
    import torch

    class Simulation(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, states: torch.Tensor, steps: int) -> torch.Tensor:
            scores = torch.zeros(len(states))
            up = torch.ones(len(states), dtype=torch.bool)
            for _ in range(steps):  # TorchScript reads no globals, hence the numbers
                force = 10.0 * self.net(states)[:, 0]
                x, speed, angle, turning = states.unbind(1)
                sine, cosine = torch.sin(angle), torch.cos(angle)
                common = (force + 0.05 * turning**2 * sine) / 1.1
                spin = (9.8 * sine - cosine * common) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
                x, angle = x + 0.02 * speed, angle + 0.02 * turning
                speed, turning = speed + 0.02 * (common - 0.05 * spin * cosine / 1.1), turning + 0.02 * spin
                states = torch.stack([x, speed, angle, turning], 1)
                up = up & (x.abs() <= 2.4) & (angle.abs() <= 0.20943951)
                if not up.any():
                    break
                scores += up * (1.0 - 0.1 * x.abs() / 2.4)
            return scores

    eager = Simulation(beside_torch.copied(model))
    script, net, starts = beside_torch.scripted(eager), model.as_njit(), some_starts(count, seed=2_000)
    one, many = torch.from_numpy(starts[:1]), torch.from_numpy(starts)
    with torch.inference_mode():
        np.testing.assert_allclose(script(many, steps), episodes(net, starts, steps), rtol=1e-3)
        calls = {
            "nbdl": lambda: episode(net, starts[0], steps),
            "PyTorch": lambda: eager(one, steps),
            "PyTorch, loop in TorchScript": lambda: script(one, steps),
        }
        beside_torch.show(f"an episode of {steps} steps", calls, rounds)
        torch.set_num_threads(os.cpu_count() or 1)
        calls = {
            "nbdl, prange": lambda: episodes(net, starts, steps),
            "PyTorch, one batch": lambda: eager(many, steps),
            "PyTorch, batch in TorchScript": lambda: script(many, steps),
        }
        beside_torch.show(f"{count} episodes of {steps} steps", calls, rounds)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Learn, and balance from starts that were not seen; returns what the tests look at."""
    parser = argparse.ArgumentParser(description="a net that balances a pole, in a compiled simulation")
    parser.add_argument("--quick", action="store_true", help="train less, measure less")
    quick = parser.parse_args(arguments).quick

    model = learn(quick)
    starts, steps = some_starts(1_000, seed=1_000), 1_000
    scores = episodes(model.as_njit(), starts, steps)
    balanced = float(np.mean(scores > 0.9 * steps))
    print(f"{balanced:.1%} of {len(starts)} poles stay up for {steps * STEP:.0f} s, from starts that were not seen")

    if beside_torch.INSTALLED:
        compare(model, 200 if quick else steps, 100 if quick else 1_000, rounds=3 if quick else 9)
    else:
        print("PyTorch is not installed: nothing to compare with")
    return {"balanced": balanced}


if __name__ == "__main__":
    main()
