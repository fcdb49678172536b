"""PyTorch: fused Adam (foreach for RMSprop, which has no fused form), rows put in order once per epoch and split into
views, the loss kept as a tensor until the epoch ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks.peers import Repetition
from benchmarks.works import Inference, Training, Work, inference_rows, training_data


def net_of(work: Work, threads: int) -> Any:
    """The net; while training without a softmax, since its loss has one."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    hidden = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[work.hidden]
    parts: list[Any] = []
    for inputs, units in work.layers[:-1]:
        parts += [torch.nn.Linear(inputs, units), hidden()]
        if isinstance(work, Training) and work.dropout:
            parts.append(torch.nn.Dropout(work.dropout))
    parts.append(torch.nn.Linear(*work.layers[-1]))
    if isinstance(work, Inference) and work.classes:
        parts.append(torch.nn.Softmax(dim=1))
    return torch.nn.Sequential(*parts)


def eager(work: Training, threads: int) -> Repetition:
    """Eager, with the optimizer in one call."""
    return _training(work, threads, lambda forward: forward)


def compiled(work: Training, threads: int) -> Repetition:
    """Forward pass, loss and their derivatives through torch.compile; needs a C++ compiler and minutes."""
    import torch

    return _training(work, threads, torch.compile)


def _training(work: Training, threads: int, wrap: Callable[[Any], Any]) -> Repetition:
    import torch

    net = net_of(work, threads)
    x, y, labels = training_data(work)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels if work.classes else y)
    criterion = torch.nn.CrossEntropyLoss() if work.classes else torch.nn.MSELoss()
    optimizer: Any
    if work.optimizer == "adam":
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, fused=True)
    else:
        optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3, alpha=0.9, eps=1e-7, foreach=True)
    objective = wrap(lambda x, y: criterion(net(x), y))

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


def module(work: Inference, threads: int) -> Repetition:
    """The module as it is."""
    return _predicting(work, net_of(work, threads).eval())


def traced(work: Inference, threads: int) -> Repetition:
    """Traced, frozen and optimized for inference."""
    import warnings

    import torch

    net = net_of(work, threads).eval()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        frozen = torch.jit.freeze(torch.jit.trace(net, torch.from_numpy(inference_rows(work))))
        return _predicting(work, torch.jit.optimize_for_inference(frozen))


def compiled_module(work: Inference, threads: int) -> Repetition:
    """Through torch.compile."""
    import torch

    return _predicting(work, torch.compile(net_of(work, threads).eval()))


def _predicting(work: Inference, function: Callable[[Any], Any]) -> Repetition:
    import torch

    x = torch.from_numpy(inference_rows(work))

    def repetition() -> float:
        with torch.inference_mode():
            for _ in range(work.calls):
                function(x)
        return math.nan

    return repetition
