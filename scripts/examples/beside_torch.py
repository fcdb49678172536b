"""What the examples compare themselves with: the same weights in PyTorch, where it is installed."""

from __future__ import annotations

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

from nbdl import Sequential

INSTALLED = importlib.util.find_spec("torch") is not None


def copied(model: Sequential) -> Any:
    """The model's dense layers as a `torch.nn.Sequential` in float32, on one thread: more cost time on single rows."""
    import torch
    from torch import nn

    activations = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
    torch.set_num_threads(1)
    modules: list[nn.Module] = []
    for layer in model.layers:
        kernel, bias = (torch.from_numpy(weight) for weight in layer.get_weights())
        linear = nn.Linear(*kernel.shape)
        linear.load_state_dict({"weight": kernel.T, "bias": bias})
        modules.append(linear)
        if layer.activation is not None:
            modules.append(activations[layer.activation.unit_name]())
    return nn.Sequential(*modules).eval()


def scripted(module: Any) -> Any:
    """A module, loops and all, as TorchScript: no Python between its operations."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.freeze(torch.jit.script(module.eval()))


def seconds(call: Callable[[], Any], rounds: int = 5) -> float:
    """The median time of a call, after two to warm up."""
    times = []
    for number in range(rounds + 2):
        begun = time.perf_counter()
        call()
        if number >= 2:
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def show(what: str, calls: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Print how long each call takes, and its ratio to the first, which is nbdl's."""
    measured = {name: seconds(call, rounds) for name, call in calls.items()}
    first = next(iter(measured.values()))
    print(f"{what}:")
    for name, taken in measured.items():
        print(f"  {name:<28} {1e3 * taken:10.3f} ms   {taken / first:8.1f} ×")
