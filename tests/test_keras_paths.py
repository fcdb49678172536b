"""Keras's module paths: those of Keras 1, 2 and 3 can be imported, and a name that is missing is explained."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest

import nbdl
from nbdl import backend
from nbdl.errors import ConfigError
from nbdl.plugins.keras_paths import MISSING, OUTER, PATHS, public_names
from nbdl.utils import normalize

WORKING = """
from nbdl.optimizers.schedules import ExponentialDecay
from nbdl.optimizers import schedules, Optimizer; schedules.ExponentialDecay
from nbdl.optimizers.legacy import Adam
from nbdl.optimizers.schedules import LearningRateSchedule
__import__('nbdl.losses', fromlist=[''])
import nbdl.optimizers.schedules as s; s.CosineDecay
from nbdl.layers.core import Dense, Dropout, Activation, Flatten
from nbdl.layers.core import *; Dense, Layer
from nbdl.layers.normalization import BatchNormalization
from nbdl.layers import normalization; normalization.BatchNormalization
from nbdl.layers.advanced_activations import LeakyReLU, PReLU
from nbdl.layers.noise import GaussianNoise
from nbdl.layers.embeddings import Embedding
from nbdl.layers.experimental.preprocessing import Normalization
from nbdl.engine.topology import Layer
from nbdl.engine import Layer
from nbdl.objectives import mse, mean_squared_error
from nbdl.initializations import uniform, glorot_uniform
from nbdl.datasets.digits import load_data
import nbdl.datasets.digits; nbdl.datasets.digits.load_data
from nbdl.callbacks import *; Callback, History, EarlyStopping
from nbdl.losses import *; Loss, mse, MeanSquaredError
from nbdl.layers import *; Layer, Dense
from nbdl.optimizers import *; Optimizer, Adam, schedules
from nbdl.regularizers import Regularizer, l1l2
from nbdl.constraints import Constraint, maxnorm
from nbdl.initializers import Initializer
from nbdl.metrics import Metric
from nbdl.models import Sequential, load_model, save_model, model_from_json, model_from_config
from nbdl.saving import load_model, save_model
from nbdl.legacy.saving import load_model
from nbdl import backend as K; K.clear_session(), K.epsilon(), K.floatx()
from nbdl.config import floatx, image_data_format
from nbdl.utils.np_utils import to_categorical, normalize
from nbdl.utils import np_utils; np_utils.to_categorical
from nbdl.utils.generic_utils import *; to_categorical
from nbdl.optimizers.adam import Adam
from nbdl.layers.core.dense import Dense
from nbdl.callbacks.early_stopping import EarlyStopping
from nbdl.callbacks.callbacks import ModelCheckpoint, Callback
from nbdl.callbacks.tensorboard_v1 import TensorBoard
from nbdl.src.layers import Dense
from nbdl.src import layers; layers.Dense
from nbdl.src.optimizers.adam import Adam
from nbdl.src.layers.core.dense import Dense
from nbdl.api.layers import Dense
from nbdl.api._v2.keras import layers, Sequential; layers.Dense
from nbdl.api._v2.keras.utils import to_categorical
from nbdl.saving.saving_lib import load_model
"""


@pytest.mark.parametrize("line", WORKING.strip().split("\n"))
def test_a_line_of_keras_imports(line: str) -> None:
    exec(line, {})


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_a_module(path: str) -> None:
    module = importlib.import_module(f"nbdl.{path}")
    assert module.__name__ == f"nbdl.{path}"
    assert module.__all__
    assert set(module.__all__) <= set(dir(module))


STOPPING = [
    ("from nbdl.datasets import imdb", "unknown dataset 'imdb'. Known: digits, mnist"),
    ("from nbdl.datasets.imdb import load_data", "unknown dataset 'imdb'"),
    ("import nbdl.datasets.imdb", "unknown dataset 'imdb'"),
    ("from nbdl.layers import Dens", "Did you mean 'Dense'"),
    ("from nbdl.layers.convolutional import Conv2D", "unknown layer 'Conv2D'"),
    ("from nbdl.losses import mes", "Did you mean 'mse'"),
    ("from nbdl.optimizers.schedules import Exponential", "Did you mean 'ExponentialDecay'"),
    ("from nbdl.layers import InputSpec", "a layer's build"),
    ("from nbdl import Sequental", "Did you mean 'Sequential'"),
    ("from nbdl import applications", "no pretrained models"),
    ("from nbdl.wrappers.scikit_learn import KerasClassifier", "scikit-learn"),
    ("from nbdl.saving import register_keras_serializable", "nbdl.register"),
    ("from nbdl.saving import deserialize_keras_object", "nbdl.layers.deserialize"),
    ("from nbdl import DTypePolicy", "everything is float32"),
    ("from nbdl import device", "model.device"),
    ("from nbdl import StatelessScope", "not needed"),
    ("from nbdl import Function", "Model(inputs, outputs)"),
    ("from nbdl.legacy import interfaces", "arguments of Keras 1"),
    ("from nbdl.export import ExportArchive", "model.export"),
    ("from nbdl.src.ops import add", "recorded operations"),
    ("from nbdl import name_scope", "named after their layer"),
    ("from nbdl import Initializers", "Did you mean 'initializers'"),
    ("from nbdl.backend import dot", "no attribute 'dot'"),
]


@pytest.mark.parametrize(("line", "text"), STOPPING)
def test_a_name_that_is_missing_is_explained(line: str, text: str) -> None:
    with pytest.raises(ImportError) as caught:
        exec(line, {})
    assert text in str(caught.value)


@pytest.mark.parametrize("name", ["nope", "applications"])
def test_missing_names_are_missing_attributes(name: str) -> None:
    for module in (nbdl, nbdl.layers, nbdl.models, nbdl.utils, backend):
        assert not hasattr(module, name)
        assert getattr(module, name, 7) == 7


@pytest.mark.parametrize("name", ["tests", "durations", "Names", "kep", "namespace_", "trainers"])
def test_modules_of_nbdl_itself_are_not_suggested(name: str) -> None:
    with pytest.raises(ImportError) as caught:
        exec(f"from nbdl import {name}", {})
    assert "Did you mean" not in str(caught.value)
    with pytest.raises(AttributeError, match=f"no attribute '{name}'$"):
        getattr(nbdl, name)


def test_public_names_are_there() -> None:
    assert all(hasattr(nbdl, name) for name in public_names())
    for name in OUTER:
        assert importlib.import_module(f"nbdl.{name}").Sequential is nbdl.Sequential


def test_a_module_that_is_nowhere_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"nbdl\.nowhere_at_all"):
        importlib.import_module("nbdl.nowhere_at_all")
    assert importlib.util.find_spec("nbdl.nowhere_at_all") is None


def test_no_path_hides_a_module_of_nbdl() -> None:
    code = "import sys, nbdl, nbdl.plugins.keras_paths as paths; import importlib.util as u\n"
    code += "sys.meta_path.remove(nbdl._KerasPaths)\n"
    code += "print([p for p in (*paths.PATHS, *paths.MISSING) if '.' not in p and u.find_spec('nbdl.' + p)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert not {*PATHS} & {*MISSING}


def test_settings_of_the_backend() -> None:
    backend.set_floatx("float32")
    backend.set_epsilon(1e-7)
    with pytest.raises(ConfigError, match="float32"):
        backend.set_floatx("float64")
    model = nbdl.Sequential([nbdl.layers.Dense(2, input_dim=3)])
    model.compile("sgd", "mse")
    backend.set_value(model.weights[1], [1.0, 2.0])
    assert backend.get_value(model.weights[1]).tolist() == [1.0, 2.0]
    assert backend.get_value(model.optimizer.lr) == 0.01
    with pytest.raises(ConfigError, match=r"model\.optimizer\.learning_rate = 0\.5"):
        backend.set_value(model.optimizer.lr, 0.5)


@pytest.mark.parametrize(("axis", "order"), [(-1, 2), (0, 1), (1, np.inf)])
def test_normalize(axis: int, order: int) -> None:
    x = np.array([[3.0, -4.0], [0.0, 0.0], [1.0, 1.0]])
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    norm[norm == 0] = 1
    assert np.array_equal(normalize(x, axis, order), x / norm)


def test_importing_a_module_of_the_engine_loads_no_plugin() -> None:
    """`from package import module` asks the package for an attribute first, which here may stand for a Keras path."""
    text = (
        "import sys; from nbdl.engine import run, cache; import nbdl.engine.emit; "
        "print([name for name in sys.modules if name.startswith('nbdl_standard')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
