"""my_unit: two spirals of points, one in the other; calculated, so there is nothing to fetch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Part = tuple[NDArray[np.float32], NDArray[np.int64]]

POINTS = 400  # of each spiral
TEST_EVERY = 5


# Your data. What has files reads them from `folder`, which is what `nbdl train my_unit --data FOLDER` gives.
def load_data(folder: str | Path | None = None) -> tuple[Part, Part]:
    """Return 640 points to train with and 160 to test with, the same in every call.

    Args:
        folder: not used; every dataset takes one.

    Returns:
        (x_train, y_train), (x_test, y_test): x is float32 of shape (rows, 2), y the number of the spiral.

    Source: Lang and Witbrock 1988, Learning to Tell Two Spirals Apart.
    """
    import numpy as np

    angle = np.linspace(0.5, 3.0, POINTS) * np.pi
    spiral = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / np.pi
    x = np.concatenate([spiral, -spiral]).astype(np.float32)
    y = np.repeat([0, 1], POINTS)
    test = np.arange(len(x)) % TEST_EVERY == 0
    return (x[~test], y[~test]), (x[test], y[test])


@hookimpl
def register_datasets(register: Any) -> None:
    # task="regression" is the other one; `recipe` is what `nbdl train my_unit` takes where it is told nothing.
    recipe = {"arch": "2-64:relu-64:relu-2:softmax", "epochs": 100, "lr": 0.01}
    register("my_unit", load_data, task="classification", classes=2, description="two spirals", recipe=recipe)
