"""scikit-learn: partial_fit, which is an epoch; float32 stays float32."""

from __future__ import annotations

import warnings

from benchmarks.peers import LeftOut, Repetition, calls, limit_blas
from benchmarks.works import Inference, Training, inference_rows, training_data

HIDDEN = {"sigmoid": "logistic", "relu": "relu", "tanh": "tanh"}


def partial_fit(work: Training, threads: int) -> Repetition:
    """An epoch a call."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if work.dropout or work.optimizer != "adam":
        raise LeftOut("it has no dropout and no RMSprop")
    limit_blas(threads)
    x, y, labels = training_data(work)
    make = MLPClassifier if work.classes else MLPRegressor
    net = make(
        hidden_layer_sizes=work.sizes[1:-1], activation=HIDDEN[work.hidden], solver="adam", alpha=0.0,
        batch_size=work.batch, epsilon=1e-7, shuffle=work.shuffled, random_state=1,
    )  # fmt: skip
    two = work.classes and work.sizes[-1] == 2  # it would take one output for two classes, so it gets the columns
    scale = 0.5 if two else 1.0 if work.classes else 2.0  # of two columns both count; its squared error is halved
    targets = {"y": y} if two or not work.classes else {"y": labels}
    if work.classes:
        targets["classes"] = np.arange(work.sizes[-1])

    def repetition() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(work.epochs):
                net.partial_fit(x, **targets)
        return scale * float(net.loss_)

    return repetition


def predict(work: Inference, threads: int) -> Repetition:
    """predict, or predict_proba for classes."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    limit_blas(threads)
    make = MLPClassifier if work.classes else MLPRegressor
    net = make(hidden_layer_sizes=work.sizes[1:-1], activation=HIDDEN[work.hidden], random_state=1)
    x, outputs = np.zeros((200, work.sizes[0]), np.float32), work.sizes[-1]
    if work.classes:
        net.partial_fit(x, np.arange(200) % outputs, classes=np.arange(outputs))
    else:
        net.partial_fit(x, np.zeros((200, outputs), np.float32))
    return calls(work, net.predict_proba if work.classes else net.predict, inference_rows(work))
