"""Sequential: layers one after another, with Keras's methods."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.building import Builder
from nbdl.compiled import Compiled, TrainingState, named_metrics, own_loss
from nbdl.errors import ConfigError, did_you_mean
from nbdl.initializing import Stream
from nbdl.layer import Layer, Shape, assign, shape_of, snake_case
from nbdl.optimizer import Optimizer
from nbdl.placing import Place
from nbdl.registry import registry
from nbdl.seeding import new_seed
from nbdl.specs import Loss
from nbdl.trainer import Trainer
from nbdl.units import explained, serialize, unknown_attribute

if TYPE_CHECKING:
    import numpy as np

    from nbdl.callback import History
    from nbdl.engine.program import Program
    from nbdl.engine.store import Store, Weight
    from nbdl.nets.net import Net
    from nbdl.profile import Profile

FEW_NUMBERS = 4096  # in a call of the model; more rows are worth threads


class Sequential(Trainer):
    """Layers one after another.

    Args:
        layers: the layers, if they are not added one by one.
        name: shown in `summary`.
        seed: an integer from which all randomness of this model follows. By default one is drawn, from
            `set_random_seed`'s stream if that was called; `model.seed` tells it.

    >>> from nbdl.layers import Dense
    >>> model = Sequential([Dense(500, input_dim=784, activation="sigmoid"), Dense(10)])
    >>> model.count_params()
    397510
    """

    def __init__(
        self, layers: Iterable[Layer] | None = None, name: str = "sequential", seed: int | None = None
    ) -> None:
        self.name = name
        self.seed = new_seed() if seed is None else _checked_seed(seed)
        self.stop_training = False
        self.history: History | None = None
        self.encoding: Any = None
        self.compiled: Compiled | None = None
        self.training_state: TrainingState | None = None
        self._place = Place()
        self._layers: list[Layer] = []
        self._store: Store | None = None
        self._shapes: list[Shape] = []
        self._input_shape: Shape | None = None
        self._executors: dict[Any, Any] = {}
        if isinstance(layers, Layer):
            raise ConfigError(f"Sequential takes a list of layers: Sequential([{type(layers).__name__}(...)])")
        try:
            for layer in layers or []:
                self.add(layer)
        except BaseException:
            for layer in self._layers:  # there will be no such model
                layer._model = None
            raise

    if not TYPE_CHECKING:  # else a misspelt attribute would pass for any

        def __getattr__(self, name: str) -> Any:
            return unknown_attribute(self, name)

    # -- layers -----------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        return list(self._layers)

    def add(self, layer: Layer) -> None:
        """Append a layer; it gets a name unless it has one."""
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ConfigError(f"add an instance: {layer.__name__}(...), not the class {layer.__name__}")
        if not isinstance(layer, Layer):
            raise ConfigError(f"a model is made of layers, got {layer!r}")
        self._refuse_foreign(layer)
        if layer not in self._layers:
            self._name(layer)
        if self._layers and layer.input_shape is not None and self._shapes and layer.input_shape != self._shapes[-1]:
            raise ConfigError(
                f"{type(layer).__name__} {layer.name!r} says input_shape={layer.input_shape}, but layer "
                f"{self._layers[-1].name!r} outputs (None, {', '.join(map(str, self._shapes[-1]))})"
            )
        self._layers.append(layer)
        self._changed()
        if self.input_shape is not None:
            try:
                self.build()
            except ConfigError:
                self.pop()
                raise

    def pop(self) -> Layer:
        """Remove the last layer and return it."""
        if not self._layers:
            raise ConfigError("the model has no layers to remove")
        layer = self._layers.pop()
        if layer not in self._layers:
            layer._model = None
        self._changed()
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by index."""
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ConfigError(f"there is no layer {index}: the model has {len(self._layers)} layers")
            return self._layers[index]
        found = next((layer for layer in self._layers if layer.name == name), None)
        if found is None:
            known = [layer.name for layer in self._layers]
            hint = did_you_mean(str(name), known)
            raise ConfigError(f"no layer is called {name!r}.{hint} Layers: {', '.join(known)}")
        return found

    def _name(self, layer: Layer) -> None:
        taken = {other.name for other in self._layers}
        if not layer.name:
            base, number = snake_case(type(layer).__name__), 1
            while f"{base}_{number}" in taken:
                number += 1
            layer.name = f"{base}_{number}"
        elif layer.name in taken:
            raise ConfigError(f"two layers are called {layer.name!r}; give them different names")

    def _refuse_foreign(self, layer: Layer) -> None:
        """A layer of another model would lose its values there, or start anew here."""
        owner = None if layer._model is None else layer._model()
        if layer._model is None or owner is self:
            return
        whose = "a model that is gone" if owner is None else f"model {owner.name!r}"
        raise ConfigError(
            f"layer {layer.name!r} belongs to {whose}; a layer's weights live in one model: use copy.deepcopy(model), "
            "or a new layer and set_weights"
        )

    def _changed(self) -> None:
        if self._store is not None:
            self._store.stale[0] = 1  # nets in compiled code have the former layers
        if not self._layers:
            self._store = None
        self._executors.clear()
        self._shapes = []
        self.training_state = None

    # -- building ---------------------------------------------------------------------------------------

    @property
    def input_shape(self) -> Shape | None:
        """The shape of one row of inputs, once known."""
        if self._layers and self._layers[0].input_shape is not None:
            return self._layers[0].input_shape
        return self._input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of one row of outputs."""
        self.build()
        return self._shapes[-1] if self._shapes else self._known_input_shape()

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._store is not None and len(self._shapes) == len(self._layers)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights; layers that had some keep their values.

        Args:
            input_shape: the shape of one row; a leading None (the rows) is dropped. Not needed where the first
                layer has `input_shape`, or before `fit`, which takes it from the data.

        Raises:
            ConfigError: no input shape is known, a layer does not fit the one before it, or the device cannot run one.
        """
        if input_shape is not None:
            given = tuple(input_shape) if not isinstance(input_shape, int) else (input_shape,)
            given = shape_of(given[1:] if given and given[0] is None else given, "build")
            known = self.input_shape
            if known is not None and known != given:
                raise ConfigError(f"the model takes inputs of shape {known}, build was given {given}")
            self._input_shape = given
        if self.built:
            return
        from nbdl.engine.store import Store

        for layer in self._layers:
            self._refuse_foreign(layer)
        shape = self._known_input_shape()
        weights: list[Weight] = []
        shapes: list[Shape] = []
        done: dict[int, tuple[Shape, Shape]] = {}
        for layer in self._layers:
            if id(layer) not in done:
                done[id(layer)] = (shape, layer.outputs(Builder(layer, weights), shape))
            elif done[id(layer)][0] != shape:
                raise ConfigError(f"layer {layer.name!r} is used twice, with inputs {done[id(layer)][0]} and {shape}")
            if layer.input_limit is not None and not all(earlier.moves_only for earlier in self._layers[: len(shapes)]):
                raise ConfigError(
                    f"{type(layer).__name__} {layer.name!r} takes integers, which a layer before it does not give: put "
                    "it first"
                )
            shape = done[id(layer)][1]
            shapes.append(shape)
        self._fill(Store(weights))
        self._shapes = shapes
        for layer in self._layers:
            layer._model = weakref.ref(self)
        if self.device != "cpu":
            self._place = self._place.suited(self)

    def _known_input_shape(self) -> Shape:
        shape = self.input_shape
        if shape is None:
            raise ConfigError(
                "the shape of the inputs is not known yet: give the first layer input_dim=... or input_shape=..., "
                "call build(...), or fit"
            )
        return shape

    def _fill(self, store: Store) -> None:
        """Initial values, or those that the layer had before."""
        old = {} if self._store is None else {(id(w.layer), w.name): w.value for w in self._store.weights}
        for site, weight in enumerate(store.weights):
            kept = old.get((id(weight.layer), weight.name))
            if kept is not None and kept.shape == weight.value.shape:
                weight.value[...] = kept
            else:
                weight.value[...] = weight.initializer(weight.tensor.shape, Stream(self.seed, site))
        self._store = store

    @property
    def store(self) -> Store:
        """The weights' memory; builds the model if need be."""
        self.build()
        assert self._store is not None
        return self._store

    # -- weights ----------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[Weight]:
        """All weights and states, layer by layer."""
        return self.store.weights if self._layers else []

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that steps change: not states, nor those of frozen layers."""
        return [weight for weight in self.weights if weight.trained]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """States, and the weights of frozen layers."""
        return [weight for weight in self.weights if not weight.trained]

    @property
    def trainable(self) -> bool:
        """Whether any layer is; setting it freezes all layers, or none, at once: see `Layer`."""
        return any(layer.trainable for layer in self._layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._layers:
            layer.trainable = value

    def count_params(self) -> int:
        """The number of weights."""
        return sum(weight.tensor.features for weight in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, in the order kernel, bias, layer by layer."""
        return [weight.value.copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights, in the order of `get_weights`; all or none.

        Raises:
            ConfigError: number or shapes differ.
        """
        assign(self.weights, weights, "the model")

    def save_weights(self, path: str | Path) -> None:
        """Write the weights alone to an npz file."""
        from nbdl.saving import save_weights

        save_weights(self, path)

    def load_weights(self, path: str | Path) -> None:
        """Read weights that `save_weights` wrote, or those of a saved model."""
        from nbdl.saving import load_weights

        load_weights(self, path)

    # -- training ---------------------------------------------------------------------------------------

    @explained
    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        """Choose what is minimised, how, what is reported, and where it runs.

        Args:
            optimizer: name or unit; by default the one that the plugins mark so (RMSprop, as in Keras).
            loss: name or unit; or a pair of plain functions (f, df): f(y, p) of one target and one prediction, whose
                mean over a row's outputs is the loss, and df(y, p), its derivative by p.
            metrics: names or units, reported beside the loss; losses too; or plain functions f(y, p), of which the
                mean over outputs and rows is reported under the function's name. All rows count alike.
            weighted_metrics: the same, with rows that count by their `sample_weight` (and `class_weight`).
            device: see `device`; by default the one that the model has: "cpu" unless it was set.
            precision: see `precision`; by default the one that the model has: "float32" unless it was set.

        Raises:
            ConfigError: there is no such unit, device or precision, or the device cannot run the model.
            DeviceError: CUDA cannot be used; the message says what is missing and how to get it.
        """
        if loss is None:
            raise ConfigError(f"compile needs a loss; known: {', '.join(registry.names('losses'))}")
        if optimizer is None:
            default = registry.default("optimizers")
            optimizer = default.name if default else ""
        listed, weighted = ([given] if isinstance(given, str) else given or [] for given in (metrics, weighted_metrics))
        compiled = Compiled(
            registry.make("optimizers", optimizer, "compile's optimizer"),
            registry.make("losses", own_loss(loss), "compile's loss"),
            named_metrics(listed, weighted),
        )
        place = self._place if precision is None else self._place.rounded(precision)
        place = place if device is None else place.moved(device)
        before = self.compiled, self.training_state
        self.compiled, self.training_state = compiled, None
        self._executors.clear()
        try:
            self._place = place.suited(self)
        except ConfigError:
            self.compiled, self.training_state = before
            raise

    @property
    def device(self) -> str:
        """Where `fit`, `evaluate` and `predict` run: "cpu", "cuda" (the first NVIDIA GPU) or "cuda:1" and so on.

        It may be set at any time, also to "auto": "cuda" where that can be used, else, with a warning, "cpu"; what a
        callback sets takes effect at the next call. Weights and what going on with training needs stay. Copies by
        `copy` are on the same device; files and pickles know nothing of it. All else runs on the CPU: `model(x)`,
        `as_njit`, `as_cfunc`, `export`, `profile`. Under NUMBA_DISABLE_JIT=1 plain Python runs everything, whatever
        the device, and needs nothing of CUDA.

        Raises:
            ConfigError: there is no such device, or it cannot run a layer: one with a kernel of its own for CPUs alone.
            DeviceError: CUDA cannot be used; the message says what is missing and how to get it.
        """
        return self._place.device

    @device.setter
    def device(self, name: str) -> None:
        self._place = self._place.moved(name).suited(self)

    @property
    def precision(self) -> str:
        """ "float32", or "tf32": a GPU may then round the operands of large matrix products to 10 bits after the point.

        It may be set at any time. The CPU always computes in float32, and a warning says so.

        Raises:
            ConfigError: there is no such precision, or the GPU lacks cuBLAS, which "tf32" needs.
        """
        return self._place.precision

    @precision.setter
    def precision(self, name: str) -> None:
        self._place = self._place.rounded(name).suited(self)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; its `learning_rate` may be changed at any time."""
        return self._compiled().optimizer

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self._compiled().loss

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns, in order."""
        return ["loss", *(name for name, _ in self._compiled().metrics)]

    def _compiled(self) -> Compiled:
        if self.compiled is None:
            raise ConfigError("the model is not compiled: call model.compile(loss=..., optimizer=...) first")
        return self.compiled

    def __call__(self, x: Any) -> np.ndarray:
        """Predictions for a few rows, on the CPU, without a look at the numbers: NaN gives NaN.

        A single row without the leading axis gives a single row.
        """
        net = self._executors.get("net of rows")
        if net is None:
            from nbdl.programs import net_of_rows

            net = net_of_rows(self)
        shape: tuple[int, ...] = getattr(x, "shape", ())
        if net and 0 < len(shape) <= 2 and shape[-1] == net.inputs and math.prod(shape) <= FEW_NUMBERS:
            return net(x)
        from nbdl.inference import call

        return call(self, x)

    @explained
    def as_njit(self, derivatives: bool = False) -> Net:
        """The net for compiled code, on the CPU: `net(x)` in any `@njit` function, and from Python.

        Args:
            derivatives: `net.vjp(x, dy)` and `net.jacobian(x)` too.

        Returns:
            The net, see `nbdl.nets.net.Net`; as an argument it leaves the functions that take it cacheable. It sees the
            weights as they are, and raises RuntimeError once the model has other layers.

        Raises:
            ConfigError: a layer draws random numbers when it predicts.
        """
        from nbdl.programs import net

        return net(self, derivatives)

    @explained
    def as_cfunc(self, form: str = "float") -> Any:
        """The net as a C function, on the CPU: `.address` and `.ctypes` of what is returned, for C, ctypes and SciPy.

        Args:
            form: "float" is `void (const float *x, float *y)` for one row, "double" the same of doubles, "quad" is
                `double (int n, double *x)`, as `scipy.LowLevelCallable` takes it for integrals of a single output.

        Returns:
            Numba's CFunc. It sees the weights as they are, and gives NaN once the model has other layers.
        """
        from nbdl.engine.executors import device

        if device() == "reference":
            raise ConfigError("as_cfunc compiles, and NUMBA_DISABLE_JIT=1 says not to")
        from nbdl.nets.cfunc import as_cfunc

        return as_cfunc(self.as_njit(), form)

    # -- looking in -------------------------------------------------------------------------------------

    def summary(self, line_length: int = 65, print_fn: Callable[[str], Any] = print) -> None:
        """Print a table of the layers, their output shapes and numbers of weights."""
        from nbdl.listing import summary

        for line in summary(self, line_length):
            print_fn(line)

    def explain(
        self,
        schedule: bool = False,
        batch_size: int = 32,
        print_fn: Callable[[str], Any] = print,
        device: str | None = None,
    ) -> None:
        """Print the program: a line per operation with operands, FLOPs and bytes.

        Args:
            schedule: how it runs instead: stages, tiles and memory of this machine, or the launches of a GPU.
            batch_size: the number of rows to count for.
            device: whose schedule, by default the model's: "cpu", "cuda", which takes no GPU here, or "auto".

        Raises:
            ConfigError: there is no such device, or it cannot run a layer.
        """
        from nbdl.listing import explain

        for line in explain(self, schedule, batch_size, self.device if device is None else device):
            print_fn(line)

    def profile(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        what: str = "train",
        seconds: float = 1.0,
        threads: int | None = None,
    ) -> Profile:
        """Measure where a step on the CPU goes, whatever the model's device, operation by operation.

        The model is not changed.

        Args:
            x, y: data, as `fit` takes it; by default random rows.
            batch_size: rows of a step; default 32.
            what: "train", "evaluate" or "predict".
            seconds: how long to measure, about.
            threads: at most so many for the whole step; operations are measured on one.

        Returns:
            µs, GFLOP/s, GB/s and share of the roofline of each operation; `print` shows a table.

        Raises:
            ConfigError: the model is not compiled, or runs without compiled kernels.
            DataError: the data does not fit.
        """
        from nbdl.profiling import profile

        return profile(self, x, y, batch_size, what, seconds, threads)

    def program(self, what: str = "predict") -> Program:
        """The recorded program: "predict", "evaluate" or "train"."""
        from nbdl.programs import record

        return record(self, what)

    # -- saving -----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The model as plain data, without weights."""
        distinct = list({id(layer): layer for layer in self._layers}.values())
        order = [next(i for i, layer in enumerate(distinct) if layer is one) for one in self._layers]
        config: dict[str, Any] = {"name": self.name, "seed": self.seed, "layers": [serialize(one) for one in distinct]}
        if order != list(range(len(distinct))):
            config["order"] = order
        if self._input_shape is not None:
            config["input_shape"] = list(self._input_shape)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sequential:
        """A model, with initial weights, from what `get_config` returned."""
        from nbdl.saving import model_from_config

        return model_from_config(config)

    def to_json(self, **options: Any) -> str:
        """The model as JSON, without weights."""
        import json

        return json.dumps(self.get_config(), **options)

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the whole model to one file: config, weights, and what going on with training needs."""
        from nbdl.saving import save_model

        save_model(self, path, overwrite)

    def export(self, path: str | Path, format: str | None = None, **options: Any) -> None:
        """Write a snapshot of the model in another format: `model.export("net.c")`.

        Args:
            path: a file; an earlier export is replaced, any other file is not.
            format: the name of an exporter; by default the one for the path's suffix.
            options: what the exporter takes: for C `name`, of the function, and `header`, whether to write a .h too.
        """
        from nbdl.exporting import export_model

        export_model(self, path, format, **options)

    def __repr__(self) -> str:
        names = ", ".join(layer.name for layer in self._layers)
        return f"Sequential({names})"

    def __copy__(self) -> Sequential:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Sequential:
        from nbdl.saving import clone_with_weights

        return clone_with_weights(self)

    def __reduce__(self) -> Any:
        from nbdl.saving import model_bytes, model_from_bytes

        return model_from_bytes, (model_bytes(self),)


def _checked_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 1 << 64:
        raise ConfigError(f"seed is an integer from 0 to 2**64 - 1, got {seed!r}")
    return int(seed)
