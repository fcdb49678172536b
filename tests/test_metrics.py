"""Metrics: Keras's and scikit-learn's numbers over any batches, names, what is refused, what stops training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Metric, Sequential, losses, metrics
from nbdl.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint
from nbdl.errors import ConfigError, DataError
from nbdl.layers import Dense
from nbdl.model.owner import job_of
from nbdl.testing.probe import Probe
from nbdl.training.steps import StepRunner
from nbdl.units.registry import registry
from nbdl.utils import confusion_matrix

DATA = {
    "binary": (
        [[0], [0], [1], [1], [0], [1], [1], [0], [1], [0]],
        [[0.1], [0.5], [0.35], [0.8], [0.0], [0.62], [1.0], [0.7], [0.9], [0.35]],
    ),
    "labels": (
        [[0], [1], [2], [1], [0], [2], [1], [0]],
        [[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1],
         [0.4, 0.35, 0.25], [0.25, 0.15, 0.6], [0.5, 0.3, 0.2], [0.2, 0.45, 0.35]],
    ),
    "reals": (
        [[1, -2], [2, 0.5], [0, 1], [4, 3], [3, -1]],
        [[1.5, -1], [2, 0], [0.5, 1], [3, 2], [2.5, -1.5]],
    ),
}  # fmt: skip
ARRAYS = {name: tuple(np.array(array, np.float32) for array in pair) for name, pair in DATA.items()}
ARRAYS["classes"] = np.eye(3, dtype=np.float32)[ARRAYS["labels"][0][:, 0].astype(int)], ARRAYS["labels"][1]

# What Keras 3.15.1 gives; rounded figures of scikit-learn 1.9 where it has the same: ROC AUC 0.86, precision 0.8.
KERAS: list[tuple[str, dict[str, Any], str, float]] = [
    ("auc", {}, "binary", 0.86),
    ("auc", {"num_thresholds": 5}, "binary", 0.9),
    ("auc", {"curve": "PR"}, "binary", 0.8841395),
    ("auc", {"num_thresholds": 5, "curve": "PR", "summation_method": "minoring"}, "binary", 0.285),
    ("auc", {"num_thresholds": 5, "summation_method": "majoring"}, "binary", 0.96),
    ("precision", {}, "binary", 0.8),
    ("recall", {}, "binary", 0.8),
    ("precision", {"thresholds": 0.3}, "binary", 0.625),
    ("true_positives", {}, "binary", 4),
    ("true_negatives", {}, "binary", 4),
    ("false_positives", {}, "binary", 1),
    ("false_negatives", {"thresholds": 0.65}, "binary", 2),
    ("precision_at_recall", {"recall": 0.7}, "binary", 0.8),
    ("recall_at_precision", {"precision": 0.8}, "binary", 0.8),
    ("sensitivity_at_specificity", {"specificity": 0.5}, "binary", 0.8),
    ("specificity_at_sensitivity", {"sensitivity": 0.5}, "binary", 1.0),
    ("f1_score", {"average": "micro", "threshold": 0.5}, "binary", 0.8),
    ("binary_accuracy", {"threshold": 0.6}, "binary", 0.8),
    ("accuracy", {}, "binary", 0.8),
    ("accuracy", {}, "labels", 0.625),
    ("accuracy", {}, "classes", 0.625),
    ("categorical_accuracy", {}, "classes", 0.625),
    ("sparse_categorical_accuracy", {}, "labels", 0.625),
    ("top_k_categorical_accuracy", {"k": 2}, "classes", 0.875),
    ("sparse_top_k_categorical_accuracy", {"k": 2}, "labels", 0.875),
    ("precision", {}, "classes", 1.0),
    ("precision", {"top_k": 1}, "classes", 0.625),
    ("recall", {"top_k": 2}, "classes", 0.875),
    ("recall", {"class_id": 1}, "classes", 0.3333333),
    ("precision", {"thresholds": 0.2, "class_id": 2}, "classes", 0.4),
    ("precision", {"thresholds": 0.2, "class_id": 2}, "labels", 0.4),
    ("f1_score", {"average": "macro"}, "classes", 0.6349205),
    ("f1_score", {"average": "weighted"}, "classes", 0.6309523),
    ("f1_score", {"average": "weighted"}, "labels", 0.6309523),
    ("f1_score", {"average": "micro"}, "classes", 0.6249999),
    ("fbeta_score", {"average": "macro", "beta": 2.0, "threshold": 0.3}, "classes", 0.5849674),
    ("auc", {}, "classes", 0.7773438),
    ("auc", {}, "labels", 0.7773438),
    ("cosine_similarity", {}, "classes", 0.6885149),
    ("r2_score", {}, "reals", 0.8280405),
    ("r2_score", {"class_aggregation": "variance_weighted_average"}, "reals", 0.828629),
    ("r2_score", {"num_regressors": 2}, "reals", 0.7789093),
    ("root_mean_squared_error", {}, "reals", 0.6519203),
    ("cosine_similarity", {}, "reals", 0.9414921),
]


def model(data: str, *chosen: Any) -> Sequential:
    """A model that predicts its inputs, and goes on doing so."""
    width = ARRAYS[data][1].shape[1]
    layer = Dense(width, kernel_initializer="identity", input_dim=width, trainable=False)
    made = Sequential([layer], seed=1)
    made.compile("sgd", "sparse_categorical_crossentropy" if data == "labels" else "mse", list(chosen))
    return made


def figures(data: str, *chosen: Any, batch_size: int | None = None) -> dict[str, float]:
    """The metrics of all rows, in one evaluation or from the batches of an epoch."""
    (y, p), made = ARRAYS[data], model(data, *chosen)
    if batch_size is None:
        found: dict[str, float] = made.evaluate(p, y, return_dict=True)
        return found
    history = made.fit(p, y, batch_size=batch_size, verbose=0).history
    return {name: values[0] for name, values in history.items()}


@pytest.mark.parametrize(("name", "arguments", "data", "value"), KERAS)
def test_the_numbers_are_keras(name: str, arguments: dict[str, Any], data: str, value: float) -> None:
    for batch_size in (None, 3, 100):
        metric = registry.get("metrics", name).target(**arguments)
        assert figures(data, metric, batch_size=batch_size)[name] == pytest.approx(value, rel=1e-6)


def test_every_metric_is_compared_with_keras() -> None:
    entries = registry.entries("metrics")
    assert {name for name, *_ in KERAS} == {one.name for one in entries if one.owner.distribution == "nbdl"}


def test_figures_are_of_the_epoch_not_means_of_batches() -> None:
    y, p = ARRAYS["binary"]
    batches = [figures_of(y[start : start + 3], p[start : start + 3]) for start in range(0, len(y), 3)]
    assert figures("binary", "precision", batch_size=3)["precision"] == pytest.approx(0.8)
    assert float(np.mean(batches)) != pytest.approx(0.8)


def test_weights_of_zero_give_zero_of_a_metric_of_third_parties() -> None:
    class Share(Metric):
        def update(self, r: Any, y: Any, p: Any) -> Any:
            return r.mean(lambda y, p: y * p, y, p), r.mean(lambda y: y, y)

        def result(self, sums: np.ndarray, rows: float) -> Any:
            return sums[0] / sums[1]

    model = Sequential([Dense(1, input_dim=2)], seed=1)
    model.compile("sgd", "mse", weighted_metrics=[Share(name="share")])
    x = np.ones((4, 2), np.float32)
    assert model.evaluate(x, x[:, :1], sample_weight=np.zeros(4), return_dict=True)["share"] == 0.0


def test_weights_of_zero_give_zero_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    model = Sequential([Dense(1, input_dim=2)], seed=1)
    model.compile("sgd", "mse", weighted_metrics=["r2_score"])
    x = np.ones((4, 2), np.float32)
    found = model.evaluate(x, x[:, :1], sample_weight=np.zeros(4), return_dict=True)
    assert found["r2_score"] == 0.0
    assert not [one for one in recwarn if issubclass(one.category, RuntimeWarning)]


def figures_of(y: np.ndarray, p: np.ndarray) -> float:
    made = model("binary", "precision")
    return float(made.evaluate(p, y, return_dict=True)["precision"])


# -- several figures -------------------------------------------------------------------------------------------


def test_several_figures_are_an_array_as_in_keras() -> None:
    y, p = [[0.3, 0.7, 0], [0, 1, 0], [0.2, 0.2, 0.6]], [[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]]
    made = Sequential([Dense(3, kernel_initializer="identity", input_dim=3, trainable=False)], seed=1)
    weighted = [metrics.F1Score(None, 0.25, "weighted")]
    made.compile("sgd", "mse", metrics=["f1_score", metrics.R2Score(None)], weighted_metrics=weighted)
    found = made.evaluate(p, y, return_dict=True)
    np.testing.assert_allclose(found["f1_score"], [0.0, 0.48275855, 0.7499998], rtol=1e-6)  # Keras 3.15.1
    assert found["r2_score"].shape == found["weighted"].shape == (3,)
    assert figures("reals", metrics.R2Score(None))["r2_score"].mean() == pytest.approx(0.8280405, rel=1e-6)
    with pytest.warns(UserWarning, match="'f1_score', 'weighted' are for targets of two classes"):
        history = made.fit(p, y, batch_size=2, epochs=2, verbose=0, validation_data=(p, y)).history
    assert np.asarray(history["val_f1_score"]).shape == (2, 3)
    assert json.loads(json.dumps(history)) == history


@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_list_of_thresholds_gives_a_figure_each(batch_size: int | None) -> None:
    chosen = [metrics.Precision([0.3, 0.5]), metrics.TrueNegatives(np.array([0.5, 0.05])), metrics.Recall([0.5])]
    found: Any = figures("binary", *chosen, batch_size=batch_size)
    assert np.asarray(found["precision"]).tolist() == [0.625, 0.8]
    assert np.asarray(found["true_negatives"]).tolist() == [4.0, 1.0]
    assert found["recall"] == 0.8


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("{val_f1_score}", ""),
        ("{f1_score:.2f}", ""),
        ("{mine}", ""),
        ("{mine[1]:.2f}", "1-0.57.nbdl"),
        ("{val_f1_score[0]:.2f}", "1-0.67.nbdl"),
        ("{loss:.0e}", "1-2e-01.nbdl"),
    ],
)
def test_names_of_files_hold_single_figures(field: str, written: str, tmp_path: Path) -> None:
    made = Sequential([Dense(3, input_dim=3, trainable=False)], seed=1)
    made.compile("sgd", "mse", metrics=["f1_score"], weighted_metrics=[metrics.F1Score(name="mine")])
    made.set_weights([np.eye(3), np.zeros(3)])
    y, p = ARRAYS["classes"]
    checkpoint = ModelCheckpoint(tmp_path / f"{{epoch}}-{field}.nbdl")
    if written:
        made.fit(p, y, verbose=0, validation_data=(p, y), callbacks=[checkpoint])
        assert [path.name for path in tmp_path.iterdir()] == [written]
        return
    with pytest.raises(ConfigError, match=r"which is 3 numbers: name one of them, as in \{\w+\[0\]:.2f\}, or let"):
        made.fit(p, y, verbose=0, validation_data=(p, y), callbacks=[checkpoint])
    assert made.optimizer.iterations == 0


def test_a_figure_of_one_column_is_a_number_in_a_name(tmp_path: Path) -> None:
    made = model("binary", metrics.F1Score(threshold=0.5))
    made.fit(*ARRAYS["binary"][::-1], verbose=0, callbacks=[ModelCheckpoint(tmp_path / "{f1_score:.2f}.nbdl")])
    assert [path.name for path in tmp_path.iterdir()] == ["0.80.nbdl"]


def test_one_of_several_figures_is_not_watched_from_the_start() -> None:
    made = model("classes", "f1_score")
    for callback in (EarlyStopping("f1"), ModelCheckpoint("m.nbdl", "f1_score", save_best_only=True)):
        with pytest.raises(ConfigError, match="watches one figure"):
            made.fit(*ARRAYS["classes"][::-1], epochs=9, verbose=0, callbacks=[callback])
        assert made.optimizer.iterations == 0


def test_several_figures_are_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y, p = ARRAYS["classes"]
    made = model("classes", "f1_score")
    log = tmp_path / "log.csv"
    stop = [EarlyStopping("loss", patience=9), CSVLogger(log)]
    for _ in range(2):
        made.fit(p, y, epochs=2, verbose=2, callbacks=[stop[0], CSVLogger(log, append=True)])
    assert "f1_score: [0.6667 0.5714 0.6667]" in capsys.readouterr().out
    assert log.read_text().count("[") == 4
    with pytest.raises(ConfigError, match="watches one figure, and 'f1_score' is 3 of them"):
        made.fit(p, y, verbose=0, callbacks=[EarlyStopping("f1_score")])
    one = model("binary", metrics.F1Score(threshold=0.5))
    one.fit(*ARRAYS["binary"][::-1], verbose=0, callbacks=[EarlyStopping("f1_score")])


# -- logits, labels of -1 and 1, targets that are no classes --------------------------------------------------------

DECISIONS: list[tuple[str, dict[str, Any]]] = [
    ("accuracy", {}), ("binary_accuracy", {}), ("precision", {}), ("recall", {"thresholds": 0.5}), ("auc", {}),
    ("auc", {"curve": "PR"}), ("f1_score", {"threshold": 0.5}), ("true_negatives", {}),
    ("precision_at_recall", {"recall": 0.6}),
]  # fmt: skip
Z, SIDES = np.array([[-1.0], [0.2], [0.3], [-2.0], [3.0]], np.float32), np.array([[0.0], [1], [1], [0], [0]])


def figure_of(metric: Any, y: Any, p: Any, loss: Any) -> float:
    width = np.shape(p)[1]
    made = Sequential([Dense(width, kernel_initializer="identity", input_dim=width, trainable=False)], seed=1)
    made.compile("sgd", loss, [metric])
    return float(np.mean(made.evaluate(p, y)[1]))


@pytest.mark.parametrize(("name", "arguments"), DECISIONS)
def test_a_decision_about_logits_and_signs_is_one_about_probabilities(name: str, arguments: dict[str, Any]) -> None:
    def metric() -> Any:
        return registry.get("metrics", name).target(**arguments)

    wanted = figure_of(metric(), SIDES, 1 / (1 + np.exp(-Z)), "binary_crossentropy")
    assert figure_of(metric(), SIDES, Z, losses.BinaryCrossentropy(from_logits=True)) == pytest.approx(wanted)
    assert figure_of(metric(), 2 * SIDES - 1, Z, "hinge") == pytest.approx(wanted)
    assert figure_of(metric(), SIDES, Z, "squared_hinge") == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["accuracy", "precision", "auc", "f1_score", "sparse_categorical_crossentropy"])
def test_several_logits_are_the_softmax_of_probabilities(name: str) -> None:
    z = np.random.default_rng(0).normal(size=(30, 3))
    y = np.random.default_rng(1).integers(0, 3, (30, 1))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    found = figure_of(name, y, z, losses.SparseCategoricalCrossentropy(from_logits=True))
    assert found == pytest.approx(figure_of(name, y, p, "sparse_categorical_crossentropy"), rel=1e-6)


def test_a_threshold_that_was_chosen_cuts_the_logits_themselves() -> None:
    logits = losses.BinaryCrossentropy(from_logits=True)
    assert figure_of(metrics.BinaryAccuracy(threshold=0.0), SIDES, Z, logits) == pytest.approx(0.8)
    assert figure_of(metrics.Precision(0.25), SIDES, Z, logits) == pytest.approx(0.5)


def test_logits_decide_classes_at_0() -> None:
    made = Sequential([Dense(1, kernel_initializer="identity", input_dim=1)])
    made.compile("sgd", losses.BinaryCrossentropy(from_logits=True))
    assert made.predict_classes(Z)[:, 0].tolist() == [0, 1, 1, 0, 1]


# What Keras 3.15.1 gives for targets of 0.3.
SOFT = [
    ("accuracy", 0.2), ("binary_accuracy", 0.2), ("precision", 2 / 3), ("recall", 0.5), ("auc", 0.5),
    ("true_positives", 2.0), ("true_negatives", 0.0), ("false_negatives", 2.0), ("f1_score", 0.6842105),
]  # fmt: skip


@pytest.mark.parametrize(("name", "keras"), SOFT)
def test_soft_targets_count_as_in_keras(name: str, keras: float) -> None:
    y, p = [[0.3], [1], [0], [1], [0.3]], [[0.2], [0.7], [0.6], [0.4], [0.9]]
    assert figure_of(name, y, p, "mse") == pytest.approx(keras, rel=1e-6)


def test_no_prediction_of_a_regression_is_accurate() -> None:
    x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    for width in (1, 4):
        made = Sequential([Dense(width, input_dim=4)], seed=1)
        made.compile("sgd", "mse", ["binary_accuracy", *(["accuracy"] if width == 1 else [])])
        with pytest.warns(UserWarning, match="is for targets of two classes|are for targets of two classes"):
            history = made.fit(x, x.sum(axis=1) if width == 1 else x, epochs=2, verbose=0).history
        assert all(history[name] == [0.0, 0.0] for name in made.metrics_names[1:])


@pytest.mark.parametrize("name", ["accuracy", "precision", "auc", "f1_score", "recall_at_precision", "true_positives"])
@pytest.mark.parametrize("batches", [False, True])
def test_metrics_of_classes_warn_of_values(name: str, batches: bool) -> None:
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    chosen: Any = metrics.RecallAtPrecision(0.5) if name == "recall_at_precision" else name

    def fitted(y: np.ndarray, loss: str, outputs: int) -> None:
        made = Sequential([Dense(outputs, activation="sigmoid", input_dim=3)], seed=1)
        made.compile("sgd", loss, [chosen])
        made.fit(*([iter([(x, y)])] if batches else [x, y]), verbose=0)

    for y, loss in ((x[:, :1], "mse"), (1 / (1 + np.exp(-x[:, :1])), "binary_crossentropy")):
        with pytest.warns(
            UserWarning, match=rf"the metric '{name}' is for targets .* and 64 of 64 numbers of y are neither"
        ):
            fitted(y, loss, 1)
    fitted((x[:, :1] > 0).astype(float), "binary_crossentropy", 1)
    fitted(np.sign(x[:, :1]), "mse", 1)
    fitted(np.arange(64) % 3, "sparse_categorical_crossentropy", 3)
    if name == "accuracy":
        fitted(np.full((64, 3), 1 / 3), "categorical_crossentropy", 3)


def test_labels_of_minus_1_are_the_other_class() -> None:
    y, p = [[-1], [1], [-1], [1], [1]], [[0.2], [0.7], [0.6], [0.4], [0.9]]
    found = [figure_of(name, y, p, "mse") for name in ("accuracy", "precision", "recall", "true_negatives")]
    assert found == pytest.approx([0.6, 2 / 3, 2 / 3, 1.0])


# -- second moments --------------------------------------------------------------------------------------------


def shifted(mean: float, chosen: Any, rows: int = 2000) -> tuple[Sequential, np.ndarray, np.ndarray]:
    """A net that explains three quarters of the variance of targets around a mean; its data."""
    x = np.random.default_rng(0).normal(size=(rows, 1))
    made = Sequential([Dense(1, input_dim=1)], seed=1)
    made.compile("sgd", "mse", metrics=[chosen], weighted_metrics=[type(chosen)()])
    made.set_weights([np.array([[0.5]]), np.array([mean])])
    return made, x, mean + x


@pytest.mark.filterwarnings("ignore:y holds numbers")  # float32 keeps 1e5 in steps of 0.008
@pytest.mark.parametrize("mean", [0.0, 1e3, 2e3, 1e4, -1e5])
def test_r2_keeps_its_digits_far_from_zero(mean: float) -> None:
    made, x, y = shifted(mean, metrics.R2Score())
    weights = np.random.default_rng(1).uniform(0.0, 2.0, len(x))
    figures = made.evaluate(x, y, sample_weight=weights)
    y, p = y.astype(np.float32).astype(float), made.predict(x).astype(float)
    for figure, w in ((figures[1], np.ones(len(x))), (figures[2], weights)):
        around = np.average((y[:, 0] - np.average(y[:, 0], weights=w)) ** 2, weights=w)
        assert figure == pytest.approx(1 - np.average((y - p)[:, 0] ** 2, weights=w) / around, abs=1e-5)
    single = [made.test_on_batch(x[i : i + 1], y[i : i + 1], reset_metrics=i == 0) for i in range(300)]
    wanted = 1 - ((y - p)[:300] ** 2).sum() / ((y[:300] - y[:300].mean()) ** 2).sum()
    assert single[-1][1] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.filterwarnings("ignore:y holds numbers")
@pytest.mark.parametrize("value", [0.1, 123456.7])
def test_r2_of_equal_targets_is_0(value: float) -> None:
    made, x, y = shifted(value, metrics.R2Score(), rows=1000)
    assert made.evaluate(x, np.full_like(y, value))[1] == 0.0


def test_figures_have_the_same_bits_however_many_steps_come_at_once() -> None:
    made, *_ = shifted(1e4, metrics.R2Score())
    training = StepRunner(job_of(made))
    training.prepare(32, [None, None, None])
    log = np.random.default_rng(0).normal(1e4, 3.0, (97, training.program.log_width)).astype(np.float32)
    counts, found = np.full(97, 32), set()
    for size in (1, 7, 97):
        tally = training.metric_sums()
        for start in range(0, 97, size):
            tally.add(log[start : start + size], counts[start : start + size])
        found.add(tuple(tally.figures().values()))
    assert len(found) == 1


def test_r2_is_adjusted_by_the_number_of_rows_not_by_their_weights() -> None:
    y, p = [[1, 2, 3], [4, 5, 7], [5, 8, 9]], [[4.0, 1, 3], [1, 5, 7], [3, 1, 1]]
    made = Sequential([Dense(3, kernel_initializer="identity", input_dim=3)])
    made.compile("sgd", "mse", weighted_metrics=[metrics.R2Score(num_regressors=k, name=f"r2_{k}") for k in (0, 1, 2)])
    keras = [-1.2724075317, -1.5970370770, -2.0298767090]
    assert made.evaluate(p, y, sample_weight=np.array([0.8, 0.1, 0.4]))[1:] == pytest.approx(keras, rel=1e-5)
    alike = made.evaluate(p, y)
    for weight in (0.1, 0.3, 2.0):
        figures = made.evaluate(p, y, sample_weight=np.full(3, weight))
        assert figures[1:] == pytest.approx(alike[1:], rel=1e-5)


def test_the_area_is_0_where_all_weights_are_negative() -> None:
    made = Sequential([Dense(1, kernel_initializer="identity", input_dim=1)])
    made.compile("sgd", "mse", weighted_metrics=[metrics.AUC(curve="PR")])
    assert made.evaluate([[0.1], [0.2], [0.9]], [[0], [1], [1]], sample_weight=np.array([-1.0, -2.0, -1.0]))[1] == 0.0


# -- NaN, ends, nothing to count ------------------------------------------------------------------------------


def result(metric: Metric, y: Any, p: Any, how: str = "compiled") -> float:
    """The figure of rows that `evaluate` would refuse."""
    sources = [np.array(y, np.float32), np.array(p, np.float32)]
    probe = Probe("sums", lambda r, t: metric.log(r, "sums", *t)[0], sources)
    return metric.figure(probe.run(how).log[:1].astype(np.float64), np.array([float(len(sources[0]))]))


@pytest.mark.parametrize("how", ["compiled", "python"])
def test_a_curve_with_nan_or_predictions_out_of_range(how: str) -> None:
    y = [[0], [1], [1]]
    assert math.isnan(result(metrics.AUC(5), y, [[0.1], [math.nan], [0.9]], how))
    assert result(metrics.AUC(5), y, [[-math.inf], [0.5], [7.0]], how) == 1.0
    assert result(metrics.AUC(5, from_logits=True), y, [[-200.0], [0.5], [200.0]], how) == 1.0


def test_nan_is_never_among_the_first() -> None:
    p = [[math.nan, 0.1, 0.2], [0.3, 0.1, 0.2]]
    assert result(metrics.TopKCategoricalAccuracy(2), [[1, 0, 0], [1, 0, 0]], p) == 0.5
    assert result(metrics.Recall(), [[1, 0, 0], [1, 0, 0]], p) == 0.0


def test_equal_predictions() -> None:
    y, p = [[1, 0, 0], [0, 0, 1]], [[0.2, 0.2, 0.2], [0.2, 0.2, 0.2]]
    assert result(metrics.TopKCategoricalAccuracy(1), y, p) == 1.0  # none is above
    assert result(metrics.Recall(top_k=1), y[:1], p[:1]) == 1.0  # the first
    assert result(metrics.Recall(top_k=1), y[1:], p[1:]) == 0.0
    assert result(metrics.F1Score(average="micro"), y, p) == pytest.approx(0.5)  # all: 2 of 6 found, 2 of 2 there


def test_nothing_to_count_is_0() -> None:
    for name in ("precision", "recall", "auc", "f1_score"):
        assert result(registry.make("metrics", name), [[0], [0]], [[0.1], [0.2]]) == 0.0
    assert not np.any(result(metrics.F1Score(), [[1, 0]], [[0.0, 0.0]]))  # the largest of zeros is not positive


def test_r2_of_targets_that_are_all_equal() -> None:
    assert result(metrics.R2Score(), [[2], [2]], [[2], [2]]) == 1.0
    assert result(metrics.R2Score(), [[2], [2]], [[2], [3]]) == 0.0
    assert result(metrics.R2Score("variance_weighted_average"), [[2], [2]], [[2], [3]]) == 0.0


# -- names ----------------------------------------------------------------------------------------------------


def test_two_instances_of_a_metric_are_numbered() -> None:
    found = figures("binary", metrics.Precision(0.3), metrics.Precision(0.7), metrics.AUC(), "recall", batch_size=4)
    assert list(found) == ["loss", "precision", "precision_1", "auc", "recall"]
    assert found["precision"] == pytest.approx(0.625)
    assert found["precision_1"] == pytest.approx(1.0)


def test_a_name_is_what_is_reported(tmp_path: Path) -> None:
    made = model("binary", metrics.Precision(0.3, name="strict"), metrics.AUC(name="area", curve="PR"))
    assert made.metrics_names == ["loss", "strict", "area"]
    wanted = made.evaluate(ARRAYS["binary"][1], ARRAYS["binary"][0], return_dict=True)
    assert wanted["strict"] == pytest.approx(0.625)
    made.save(tmp_path / "model.nbdl")
    again = nbdl.load_model(tmp_path / "model.nbdl")
    assert again.evaluate(ARRAYS["binary"][1], ARRAYS["binary"][0], return_dict=True) == wanted


def test_a_name_given_twice_is_refused() -> None:
    for pair in (["precision", "precision"], [metrics.AUC(name="a"), metrics.Recall(name="a")]):
        with pytest.raises(ConfigError, match=r"is given twice; name=\.\.\. gives a metric another name"):
            model("binary", *pair)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("acc", "accuracy"), ("AUC", "auc"), ("Precision", "precision"), ("F1Score", "f1_score"), ("f1", "f1_score"),
        ("FBetaScore", "fbeta_score"), ("R2Score", "r2_score"), ("r2", "r2_score"), ("rmse", "root_mean_squared_error"),
        ("RootMeanSquaredError", "root_mean_squared_error"), ("TruePositives", "true_positives"),
        ("TopKCategoricalAccuracy", "top_k_categorical_accuracy"), ("CosineSimilarity", "cosine_similarity"),
    ],
)  # fmt: skip
def test_names_as_users_write_them(written: str, name: str) -> None:
    assert registry.get("metrics", written).name == name
    assert list(figures("binary", written)) == ["loss", written]


class OneMore(metrics.Precision):  # type: ignore[name-defined, misc]
    """A metric of the user's own, with further arguments."""

    def __init__(self, more: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.more = more

    def result(self, sums: np.ndarray, rows: float) -> float:
        return float(super().result(sums, rows)) + self.more


def test_own_subclasses_take_a_name_too() -> None:
    assert figures("binary", OneMore(2.0, thresholds=0.3, name="mine"))["mine"] == pytest.approx(2.625)


# -- refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("precision", {"thresholds": [0.3, 1.7]}, "thresholds is a number from 0 to 1, or a list of such"),
        ("recall", {"thresholds": 1.5}, "thresholds is a number from 0 to 1, or a list of such, got 1.5"),
        ("f1_score", {"average": "mean"}, "average is one of None, macro, micro, weighted, got 'mean'"),
        ("f1_score", {"threshold": 0.0}, "threshold is above 0 and at most 1"),
        ("fbeta_score", {"beta": 0.0}, "beta is above 0"),
        ("auc", {"curve": "PRGAIN"}, "curve is 'ROC' or 'PR'"),
        ("auc", {"summation_method": "middle"}, "summation_method is 'interpolation'"),
        ("auc", {"num_thresholds": 1}, "num_thresholds is an integer above 1, got 1"),
        ("precision_at_recall", {"recall": 2.0}, "PrecisionAtRecall: recall is from 0 to 1, got 2.0"),
        ("r2_score", {"class_aggregation": "mean"}, "class_aggregation is one of uniform_average"),
        ("r2_score", {"num_regressors": -1}, "num_regressors is not negative"),
        ("top_k_categorical_accuracy", {"k": 0}, "k is a positive integer, got 0"),
    ],
)
def test_arguments_out_of_range(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get("metrics", name).target(**arguments)


def test_keras_arguments_that_are_not_there_are_named() -> None:
    with pytest.raises(TypeError, match=r"multi_label.*Its arguments are: num_thresholds, curve"):
        metrics.AUC(multi_label=True)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (metrics.Precision(class_id=3), "Precision: class_id is a column, 0 to 2 here, got 3"),
        (metrics.RecallAtPrecision(0.5, class_id=7), "class_id is a column, 0 to 2 here, got 7"),
        (metrics.Recall(top_k=4), "Recall: top_k is from 1 to the 3 columns, got 4"),
    ],
)
def test_columns_that_are_not_there(metric: Metric, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        figures("classes", metric)


# -- directions ------------------------------------------------------------------------------------------------

SMALLER_IS_BETTER = {"root_mean_squared_error", "false_positives", "false_negatives"}


def test_directions() -> None:
    entries = [one for one in registry.entries("metrics") if one.owner.distribution == "nbdl"]
    assert {one.name for one in entries if not one.target.greater_is_better} == SMALLER_IS_BETTER


@pytest.mark.parametrize(("written", "epochs"), [("recall", 9), ("false_negatives", 2), ("mse", 2)])
def test_early_stopping_knows_the_direction(written: str, epochs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure that grows by 1 each epoch is an improvement, or not."""
    seen: list[float] = []
    made = model("binary", written)
    metric = dict(made.compiled.metrics)[written]  # type: ignore[union-attr]
    monkeypatch.setattr(metric, "result", lambda sums, rows: seen.append(0.0) or float(len(seen)), raising=False)
    y, p = ARRAYS["binary"]
    stopping = EarlyStopping(monitor=written, patience=1)
    history = made.fit(p, y, epochs=9, verbose=0, callbacks=[stopping])
    assert len(history.epoch) == epochs


# -- the confusion matrix --------------------------------------------------------------------------------------


def test_confusion_matrix_is_that_of_keras() -> None:
    found = confusion_matrix([1, 2, 4], [2, 2, 4])
    assert found.tolist() == [[0] * 5, [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0] * 5, [0, 0, 0, 0, 1]]
    labels, p = ARRAYS["labels"]
    wanted = [[2, 1, 0], [1, 2, 0], [0, 1, 1]]
    assert confusion_matrix(labels, p).tolist() == wanted
    assert confusion_matrix(ARRAYS["classes"][0], p.argmax(axis=1)).tolist() == wanted
    assert confusion_matrix([0, 1], [1, 1], num_classes=3).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert confusion_matrix([], []).shape == (0, 0)


@pytest.mark.parametrize(
    ("true", "predicted", "classes", "message"),
    [
        ([0, 1], [0.5, 1], None, "y_pred holds integers from 0"),
        ([0, -1], [0, 1], None, "y_true holds integers from 0"),
        ([0, 3], [0, 1], 3, "y_true holds integers from 0 to 2"),
        ([0, 1, 1], [0, 1], None, "y_true has 3 rows, y_pred 2"),
    ],
)
def test_what_a_confusion_matrix_refuses(true: Any, predicted: Any, classes: int | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        confusion_matrix(true, predicted, classes)
