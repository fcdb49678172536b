"""Sequential: layers one after another, with Keras's methods."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, MissingError, did_you_mean
from nbdl.model.base import Trainer
from nbdl.model.savable import Savable
from nbdl.network.device import Place
from nbdl.network.seeds import new_seed
from nbdl.storage.schema import MOST_NAME, is_name
from nbdl.units.arguments import truth
from nbdl.units.builder import Builder
from nbdl.units.layer import Layer, Shape, shape_of, snake_case, without_rows
from nbdl.units.overrides import UNCALLED, refuse_uncalled
from nbdl.units.random import Stream, first_values
from nbdl.units.unit import explained, unknown_attribute
from nbdl.units.weighted import Weighted

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.nets.net import Net
    from nbdl.engine.store import Store, Weight
    from nbdl.inspection.profile import Profile
    from nbdl.network.setup import Compiled, TrainingState
    from nbdl.program.recorder import Program
    from nbdl.units.callback import History

FEW_NUMBERS = 4096  # in a call of the model; more rows are worth threads


class Sequential(Trainer, Savable, Weighted):
    """Layers one after another.

    Args:
        layers: the layers, if they are not added one by one.
        trainable: False freezes all layers.
        name: shown in `summary`.
        seed: an integer from which all randomness of this model follows. By default one is drawn, from
            `set_random_seed`'s stream if that was called; `model.seed` tells it.

    >>> from nbdl.layers import Dense
    >>> model = Sequential([Dense(500, input_dim=784, activation="sigmoid"), Dense(10)])
    >>> model.count_params()
    397510
    """

    @explained
    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.name = name or "sequential"
        self.seed = new_seed() if seed is None else _checked_seed(seed)
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.history: History | None = None
        self.encoding: Any = None
        self._feature_names: tuple[str, ...] | None = None
        self._target_names: tuple[str, ...] | None = None
        self.compiled: Compiled | None = None
        self.training_state: TrainingState | None = None
        self._place = Place()
        self._input: Layer | None = None
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
                layer._model = layer._weights = layer._output_shape = layer._taken_shape = None
            raise
        if not trainable:
            self.trainable = False

    if not TYPE_CHECKING:  # else a misspelt attribute would pass for any

        def __getattr__(self, name: str) -> Any:
            return unknown_attribute(self, name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in UNCALLED["models"] and callable(value):
                raise ConfigError(f"nbdl never calls {name!r} of a model; {UNCALLED['models'][name]}")
            if name.startswith("stop_"):
                if truth(value) is None:
                    raise ConfigError(f"{name} of a model is True or False, got {value!r}")
                value = truth(value)
            super().__setattr__(name, value)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_uncalled("models", cls, Sequential)

    # -- layers -----------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order, without an `Input`: it only tells the shape of the inputs."""
        return list(self._layers)

    @explained
    def add(self, layer: Layer) -> None:
        """Append a layer; it gets a name unless it has one."""
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ConfigError(f"add an instance: {layer.__name__}(...), not the class {layer.__name__}")
        if not isinstance(layer, Layer):
            raise ConfigError(f"a model is made of layers, got {layer!r}")
        self._refuse_foreign(layer)
        if layer not in self._layers:
            self._name(layer)
        if layer.declares_input:
            self._declare_input(layer)
            return
        if self._layers and layer.given_shape is not None and self._shapes and layer.given_shape != self._shapes[-1]:
            raise ConfigError(
                f"{type(layer).__name__} {layer.name!r} says input_shape={layer.given_shape}, but layer "
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

    def _declare_input(self, layer: Layer) -> None:
        known = self.input_shape
        if known is not None:
            raise ConfigError(f"the model takes inputs of shape {known} already: it has one input; leave out {layer!r}")
        if self._layers:
            raise ConfigError(f"{layer!r} tells the shape of the model's inputs: put it before all layers")
        self._input = layer

    @explained
    def pop(self) -> Layer:
        """Remove the last layer and return it; its weights stay with it."""
        if not self._layers:
            raise ConfigError("the model has no layers to remove")
        layer = self._layers.pop()
        if layer not in self._layers:
            layer._model = None
        self._changed()
        return layer

    @explained
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
        taken = {other.name for other in self._entries()}
        if not layer.name:
            base, number = snake_case(type(layer).__name__), 1
            while f"{base}_{number}" in taken:
                number += 1
            layer.name = f"{base}_{number}"
        elif not is_name(layer.name):
            raise ConfigError(f"a layer's name is printable text of up to {MOST_NAME} characters, got {layer.name!r}")
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

    def _entries(self) -> list[Layer]:
        """What was added: the layers, after an `Input`."""
        return [*([] if self._input is None else [self._input]), *self._layers]

    def _changed(self) -> None:
        if self._store is not None:
            self._store.stale[0] = 1  # nets in compiled code have the former layers
        if not self._layers:
            self._store = self._feature_names = None
        self._executors.clear()
        self._shapes = []
        self.training_state = self._target_names = None

    # -- building ---------------------------------------------------------------------------------------

    @property
    def input_shape(self) -> Shape | None:
        """The shape of one row of inputs, once known."""
        for layer in self._entries()[:1]:
            if layer.given_shape is not None:
                return layer.given_shape
        return self._input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of one row of outputs.

        Raises:
            MissingError: it is not known yet; so `hasattr` says no, and `getattr` gives its default.
        """
        if not self._layers or self.input_shape is None:
            raise MissingError(f"the model has no output shape yet: {self._unknown()}")
        self.build()
        return self._shapes[-1]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of the outputs for inputs of a shape; both with the rows, which are None.

        Raises:
            ConfigError: a layer does not take such inputs.
        """
        shape: tuple[int | None, ...] = (None, *without_rows(input_shape, "compute_output_shape"))
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._store is not None and len(self._shapes) == len(self._layers)

    @explained
    def build(self, input_shape: Any = None) -> None:
        """Create the weights; layers that had some keep their values.

        Args:
            input_shape: the shape of one row; a leading None (the rows) is dropped. Not needed where the first
                layer has `input_shape`, or before `fit`, which takes it from the data.

        Raises:
            ConfigError: there are no layers, no input shape is known, a layer does not fit the one before it, or the
                device cannot run one.
        """
        if not self._layers:
            raise ConfigError("the model has no layers yet: call model.add(layer)")
        if input_shape is not None:
            rows = isinstance(input_shape, Sequence) and len(input_shape) > 1 and input_shape[0] is None
            given = shape_of(input_shape[1:] if rows else input_shape, "build")
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
        for layer, shape in zip(self._layers, shapes, strict=True):
            layer._model, layer._output_shape = weakref.ref(self), shape
            layer._taken_shape = done[id(layer)][0]
            layer._weights = [weight for weight in weights if weight.layer is layer]
        if self.device != "cpu":
            self._place = self._place.suited(self)

    def _known_input_shape(self) -> Shape:
        shape = self.input_shape
        if shape is None:
            raise ConfigError(self._unknown())
        return shape

    def _unknown(self) -> str:
        """Why there are no weights and shapes yet."""
        if not self._layers:
            return "it has no layers; call model.add(layer)"
        return (
            "the shape of the inputs is not known yet: give the first layer input_dim=... or input_shape=..., "
            "call build(...), or fit"
        )

    def _fill(self, store: Store) -> None:
        """Set initial values, or those that the layer had before."""
        old = {(id(one), weight.own_name): weight.value for one in self._layers for weight in one.weights}
        for site, weight in enumerate(store.weights):
            kept = old.get((id(weight.layer), weight.own_name))
            if kept is not None and kept.shape == weight.value.shape:
                weight.value[...] = kept
            else:
                weight.value[...] = first_values(weight, Stream(self.seed, site))
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
        """All weights and states, layer by layer; empty until the shape of the inputs is known."""
        return self.store.weights if self._layers and self.input_shape is not None else []

    def existing_weights(self) -> list[Weight]:
        return self.store.weights

    def _shown(self) -> str:
        return "the model"

    @property
    def trainable(self) -> bool:
        """Whether any layer is; setting it freezes all layers, or none, at once: see `Layer`."""
        return any(layer.trainable for layer in self._layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._layers:
            layer.trainable = value

    # -- predicting -------------------------------------------------------------------------------------

    def __call__(self, x: Any, training: bool | None = None, mask: None = None, *, encoded: bool = False) -> np.ndarray:
        """Predictions for a few rows, on the CPU, without a look at the numbers: NaN gives NaN.

        `predict` refuses what is no number of float32, and integers that an Embedding has no row for: here these give
        NaN.

        A single row without the leading axis gives a single row. `encoded` is as for `fit`.

        Raises:
            ConfigError: training or a mask is asked for, which Keras has here.
        """
        if training or mask is not None:
            raise ConfigError(
                "a model is called to predict: training=True and masks are not there; fit and train_on_batch train, "
                "with dropout and the like"
            )
        if self.encoding is not None or encoded is not False:
            self._warn_of_plain_rows(encoded)
        net = self._executors.get("net of rows")
        if net is None:
            from nbdl.network.programs import net_of_rows

            net = net_of_rows(self)
        shape: tuple[int, ...] = () if hasattr(x, "columns") else getattr(x, "shape", ())  # names are looked at
        if net and 0 < len(shape) <= 2 and shape[-1] == net.inputs and math.prod(shape) <= FEW_NUMBERS:
            return net(x)
        from nbdl.training.evaluate import call

        return call(self, x)

    @explained
    def as_njit(self, derivatives: bool = False, *, encoded: bool = False) -> Net:
        """The net for compiled code, on the CPU: `net(x)` in any `@njit` function, and from Python.

        Args:
            derivatives: `net.vjp(x, dy)` and `net.jacobian(x)` too.
            encoded: as for `fit`, of the rows that the net is to take.

        Returns:
            The net, see `nbdl.engine.nets.net.Net`; as an argument it leaves the functions that take it cacheable.
            It sees the weights as they are, and raises RuntimeError once the model has other layers.

        Raises:
            ConfigError: a layer draws random numbers when it predicts.
        """
        from nbdl.network.programs import net

        self._warn_of_plain_rows(encoded)
        found = net(self, derivatives)
        found.names = self.feature_names
        return found

    @explained
    def as_cfunc(self, form: str = "float", *, encoded: bool = False) -> Any:
        """The net as a C function, on the CPU: `.address` and `.ctypes` of what is returned, for C, ctypes and SciPy.

        Args:
            form: "float" is `void (const float *x, float *y)` for one row, "double" the same of doubles, "quad" is
                `double (int n, double *x)`, as `scipy.LowLevelCallable` takes it for integrals of a single output.
            encoded: as for `fit`, of the rows that the function is to take.

        Returns:
            Numba's CFunc. It sees the weights as they are, and gives NaN once the model has other layers.
        """
        from nbdl.engine.select import device

        if device() == "reference":
            raise ConfigError("as_cfunc compiles, and NUMBA_DISABLE_JIT=1 says not to")
        from nbdl.engine.nets.cfunc import as_cfunc

        self._warn_of_plain_rows(encoded)
        return as_cfunc(self.as_njit(encoded=True), form)

    # -- looking in -------------------------------------------------------------------------------------

    @explained
    def summary(
        self, line_length: int | None = None, positions: Any = None, print_fn: Callable[[str], Any] | None = None
    ) -> None:
        """Print a table of the layers, their output shapes and numbers of weights.

        Args:
            line_length: in characters. Default 65.
            positions: not there: None.
            print_fn: what takes each line. Default `print`.
        """
        from nbdl.inspection.listing import summary

        if positions is not None:
            raise ConfigError("summary: positions of columns are not there; line_length=... makes the table wider")
        for line in summary(self, 65 if line_length is None else line_length):
            (print_fn or print)(line)

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
        from nbdl.inspection.listing import explain

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
        from nbdl.inspection.measure import profile

        return profile(self, x, y, batch_size, what, seconds, threads)

    def program(self, what: str = "predict") -> Program:
        """The recorded program: "predict", "evaluate" or "train"."""
        from nbdl.network.programs import record

        return record(self, what)

    def __repr__(self) -> str:
        """Name, layers and number of weights: short, for it is what a notebook shows below a cell."""
        from nbdl.errors import counted

        layers = ", ".join(layer.name for layer in self._layers) or "no layers"
        size = f", {counted(self.count_params(), 'weight')}" if self.built and self._layers else ""
        return f"<Sequential {self.name!r}: {layers}{size}>"


def _checked_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 1 << 64:
        raise ConfigError(f"seed is an integer from 0 to 2**64 - 1, got {seed!r}")
    return int(seed)
