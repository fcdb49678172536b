"""One small file of every format that was released: it loads for ever, predicts the same, and trains on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nbdl import load_model
from nbdl.model.file_format import FORMAT

FORMATS = Path(__file__).parent / "formats"
X = np.arange(32, dtype=np.float32).reshape(8, 2, 2) / 32
PREDICTIONS = {
    1: [[0.514530361, 0.485469639], [0.517806828, 0.482193172]],  # by nbdl 0.1.0, which wrote the file
}


def test_there_is_a_file_of_every_format() -> None:
    assert sorted(path.stem for path in FORMATS.glob("*.nbdl")) == [str(number) for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_an_old_file_loads(number: int) -> None:
    model = load_model(FORMATS / f"{number}.nbdl")
    np.testing.assert_allclose(model.predict(X[:2]), PREDICTIONS[number], rtol=0, atol=1e-6)
    state = model.training_state
    assert state is not None
    assert (state.iterations, state.epochs) == (6, 3)
    history = model.fit(X, np.arange(8) % 2, epochs=4, initial_epoch=3, batch_size=4, verbose=0)
    assert history.epoch == [3]
    assert state.iterations == 8
