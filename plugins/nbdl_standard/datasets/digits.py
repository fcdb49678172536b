"""Digits: 1,797 handwritten digits of 8 x 8 pixels, stored with nbdl: nothing to fetch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbdl import hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Part = tuple[NDArray[np.float32], NDArray[np.uint8]]

GREY_LEVELS = 16
TEST_EVERY = 5

RECIPE = {"arch": "64-64:relu-10:softmax", "epochs": 100, "batch_size": 32, "patience": 10}


def load_data() -> tuple[Part, Part]:
    """Return 1,437 images to train with and 360 to test with, the same in every call and version.

    Both parts hold each digit in equal shares. The same people wrote both, as in scikit-learn's examples, so
    a test result is better than it would be on the handwriting of strangers.

    Returns:
        (x_train, y_train), (x_test, y_test): x is float32 of shape (rows, 64), 0 (white) to 1 (black); y is
        uint8 of shape (rows,), 0 to 9.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, the test part. UCI
    Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0.
    """
    from importlib import resources

    import numpy as np

    with (
        resources.files(__package__).joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        x, y = arrays["x"], arrays["y"]
    # Every fifth image in the order of the digits: equal shares without a random number generator, whose
    # stream could change between versions.
    test = np.zeros(len(y), bool)
    test[np.argsort(y, kind="stable")[::TEST_EVERY]] = True
    x = x.astype(np.float32) / np.float32(GREY_LEVELS)
    return (x[~test], y[~test]), (x[test], y[test])


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """Offer the dataset."""
    register(
        "digits",
        load_data,
        task="classification",
        classes=10,
        description="1,797 handwritten digits, 8 x 8 pixels; comes with nbdl",
        recipe=RECIPE,
    )
