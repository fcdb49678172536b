"""The run without the compiler: the same program, the same results to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

TRAIN = """
import json, sys
import numpy as np
from nbdl import Sequential
from nbdl.layers import Dense, Dropout, Flatten
from nbdl.regularizers import l2

rng = np.random.default_rng(0)
x, y = rng.random((37, 3, 2)), np.arange(37) % 3
model = Sequential([
    Flatten(input_shape=(3, 2)), Dense(5, activation="tanh", kernel_regularizer=l2(0.01)), Dropout(0.3),
    Dense(4, activation="relu"), Dense(3, activation="softmax"),
], seed=1)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=2, batch_size=8, validation_split=0.2, verbose=0).history
weights = [w.tolist() for w in model.get_weights()]
predictions = model.predict(x[:5]).tolist()
print(json.dumps([history, weights, predictions, "numba.core.dispatcher" in sys.modules]))
"""


def run(disable_jit: bool, code: str = TRAIN) -> list[object]:
    """What the program prints, as JSON, with and without the compiler."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1" if disable_jit else "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_plain_python_gives_the_same_results() -> None:
    compiled, plain = run(False), run(True)
    assert compiled[3] is True
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert compiled[0][name] == pytest.approx(plain[0][name], rel=1e-5), name  # type: ignore[index]
    for a, b in zip(compiled[1], plain[1], strict=True):  # type: ignore[call-overload]
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
    np.testing.assert_allclose(compiled[2], plain[2], rtol=1e-4)  # type: ignore[arg-type]


def test_a_debugger_stops_in_the_authors_function() -> None:
    """Under the reference the author's own code object runs: a trace sees its file and its line."""
    code = """
import json, sys
import numpy as np
import nbdl_standard.activations.softsign as softsign
from nbdl import Sequential
from nbdl.layers import Dense

seen = set()
def trace(frame, event, argument):
    if frame.f_code is softsign.f.__code__:
        seen.add(frame.f_code.co_filename)
    return None

model = Sequential([Dense(2, activation="softsign", input_dim=2)], seed=1)
sys.settrace(trace)
model.predict(np.ones((1, 2)))
sys.settrace(None)
print(json.dumps([name.endswith("softsign.py") for name in seen]))
"""
    assert run(True, code) == [True]
