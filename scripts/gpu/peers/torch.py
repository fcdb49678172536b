"""PyTorch: eager with its two fast Adams, compiled, and the whole step (gather, update and all) as one CUDA graph.

float32 without TF32, unless that is asked for. PyTorch adds Adam's epsilon after it has corrected √v for its start at
zero, nbdl and Keras before: it is given what comes to the same in the first step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from benchmarks.peers.torch import net_of
from benchmarks.works import Training, training_data

from gpu.peers import Runner, first_weights

EPSILON = 1e-7 / (1.0 - 0.999) ** 0.5
WARM_UP = 3  # steps before a capture, as PyTorch's manual asks for


def make(work: Training, device: str, how: str) -> Runner:
    """Ways: "fused", "foreach", "compile", "graph", "graph-tf32"."""
    torch.backends.cuda.matmul.allow_tf32 = how.endswith("tf32")
    torch.backends.cudnn.allow_tf32 = False
    return Graph(work, device, how) if how.startswith("graph") else Eager(work, device, how)


class Net:
    """The net with its first weights, its data, and Adam; a step takes its rows as indices."""

    transferred = 0.0

    def __init__(self, work: Training, device: str, how: str) -> None:
        self.work, self.device = work, torch.device(device)
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats()
        self.net = net_of(work, torch.get_num_threads()).to(self.device)
        self.load_weights()
        x, _, labels = training_data(work)
        self.x, self.labels = (torch.from_numpy(array).to(self.device) for array in (x, labels))
        kind: dict[str, Any] = {"foreach": True} if how == "foreach" else {"fused": True}
        whole = how.startswith("graph") and device != "cpu"  # learning rate and step counter on the device
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, eps=EPSILON, capturable=whole, **kind)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.total = torch.zeros((), device=self.device)

    def load_weights(self) -> None:
        """The first weights, in place."""
        linear = [layer for layer in self.net if isinstance(layer, torch.nn.Linear)]
        with torch.no_grad():
            for layer, (kernel, bias) in zip(linear, first_weights(self.work), strict=True):
                layer.weight.copy_(torch.from_numpy(kernel.T.copy()))
                layer.bias.copy_(torch.from_numpy(bias))

    def objective(self, rows: Any) -> Any:
        """The loss of some rows."""
        x, labels = self.x.index_select(0, rows), self.labels.index_select(0, rows)
        return self.criterion(self.net(x), labels)

    def order(self) -> Any:
        """A new order of the rows."""
        return torch.randperm(self.work.rows, device=self.device)

    def memory(self) -> int:
        """Of PyTorch's allocator: reserved would be more."""
        return int(torch.cuda.max_memory_allocated()) if self.device.type == "cuda" else 0

    def product(self, a: Any, b: Any) -> Any:
        """torch.mm."""
        left, right = (torch.from_numpy(array).to(self.device) for array in (a, b))
        return torch.mm(left, right).cpu().numpy()


class Eager(Net):
    """A launch for each operation; "compile" has forward pass, loss and derivatives compiled into graphs."""

    def __init__(self, work: Training, device: str, how: str) -> None:
        super().__init__(work, device, how)
        self.compiled = how == "compile"
        self.loss_of: Callable[[Any], Any] = self.objective
        if self.compiled:
            self.loss_of = torch.compile(self.objective, mode="reduce-overhead", dynamic=False)

    def step(self, rows: Any) -> Any:
        """One step; its loss."""
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        loss = self.loss_of(rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def losses(self, count: int) -> list[float]:
        """Step by step."""
        rows = torch.arange(self.work.rows, device=self.device).split(self.work.batch)
        return [float(self.step(part)) for part in rows[:count]]

    def epochs(self, count: int) -> float:
        """The order's parts as views, the losses added up on the device."""
        mean = 0.0
        for _ in range(count):
            self.total.zero_()
            for rows in self.order().split(self.work.batch):
                self.total += self.step(rows)
            mean = float(self.total) / self.work.steps
        return mean


class Graph(Net):
    """A replay for each step: a counter on the device says which rows; on a CPU the same step without a graph."""

    def __init__(self, work: Training, device: str, how: str) -> None:
        super().__init__(work, device, how)
        shape = (work.steps, work.batch)
        self.orders = torch.arange(work.rows, device=self.device).view(shape)
        self.at = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.replay: Callable[[], Any] = self.step
        if self.device.type == "cuda":
            self.replay = self._captured()

    def step(self) -> None:
        """Everything of a step, from the counter to the counter."""
        loss = self.objective(self.orders.index_select(0, self.at).view(-1))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.total += loss.detach()
        self.at += 1

    def _captured(self) -> Callable[[], Any]:
        """Warmed up on a stream beside, captured, and set back to the first weights and an empty optimizer."""
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                self.step()
        torch.cuda.current_stream().wait_stream(beside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step()
        self.load_weights()
        with torch.no_grad():
            for state in self.optimizer.state.values():
                for value in state.values():
                    value.zero_()
        return self.graph.replay

    def _begin(self, order: Any) -> None:
        self.orders.copy_(order.view_as(self.orders))
        self.at.zero_()
        self.total.zero_()

    def losses(self, count: int) -> list[float]:
        """The total after each step, less the one before."""
        self._begin(torch.arange(self.work.rows, device=self.device))
        totals = [0.0]
        for _ in range(count):
            self.replay()
            totals.append(float(self.total))
        return [after - before for before, after in pairwise(totals)]

    def epochs(self, count: int) -> float:
        """A replay for each step."""
        mean = 0.0
        for _ in range(count):
            self._begin(self.order())
            for _ in range(self.work.steps):
                self.replay()
            mean = float(self.total) / self.work.steps
        return mean
