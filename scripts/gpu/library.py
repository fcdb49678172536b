"""Runs whose products all go to cuBLAS, or none: of these nets none is large enough to go there by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from nbdl import Callback
from nbdl.engine.cuda import executor
from nbdl.model.owner import job_of
from nbdl.training import steps as training

NEVER = 1 << 62  # multiplications
SLICE_SECONDS = 60.0  # so that slices grow to hold whole graphs, however slow the first steps are


@contextmanager
def products_by(runtime: Any, library: bool) -> Iterator[None]:
    """Within it executors are made whose products all are cuBLAS's, or all their own; the simulator's is NumPy."""
    name = "SIMULATOR" if runtime.simulated else "GPU"
    sizes = replace(getattr(executor, name), library=1 if library else NEVER)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(executor, name, sizes))
        stack.enter_context(mock.patch.object(training, "SLICE_SECONDS", SLICE_SECONDS))
        if runtime.simulated:
            stack.enter_context(mock.patch.object(runtime, "library", "NumPy's"))
        yield


def there(runtime: Any) -> bool:
    """Whether cuBLAS was found; the simulator stands in for it."""
    return bool(runtime.simulated or runtime.cublas)


class Seen(Callback):
    """How a fit was run, seen at its end, while its data and with them its graphs are still there.

    Attributes:
        products: products of a step that are the library's, and those that are not.
        graph: steps of the longest graph, and of the longest that there can be.
    """

    products, graph = (0, 0), (0, 0)

    def on_train_end(self, logs: Any = None) -> None:
        """Look at the executor that trained."""
        for one in job_of(self.model).programs.executors.values():
            if isinstance(one, executor.CudaExecutor) and one.trains and one._graphs:
                launches = one.lowering.launches
                library = sum(launch.kernel is None for launch in launches)
                gemms = sum(o.kind == "gemm" for launch in launches for o in launch.operations)
                self.products = library, gemms - library
                self.graph = max(steps for steps, _ in one._graphs), one.steps

    def check(self, library: bool) -> None:
        """Assert that all products were the library's, or none; and that whole graphs ran."""
        by_library, own = self.products
        assert (by_library > 0, own > 0) == (library, not library), f"{by_library} products by cuBLAS, {own} own ones"
        assert self.graph[0] == self.graph[1] > 1, f"the longest graph has {self.graph[0]} of {self.graph[1]} steps"
