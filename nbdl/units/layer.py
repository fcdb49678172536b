"""Layer: the base class of layers, which are written as build, forward and backward."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nbdl.errors import ConfigError, MissingError
from nbdl.units.activation import Activation
from nbdl.units.arguments import truth
from nbdl.units.constructor import parameters_of
from nbdl.units.functions import own_activation
from nbdl.units.placed import Placed
from nbdl.units.registry import registry
from nbdl.units.regularizer import Regularizer
from nbdl.units.symbol import Call, Described, symbols_in
from nbdl.units.unit import Unit, serialize

if TYPE_CHECKING:
    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor
    from nbdl.units.builder import Builder

Shape = tuple[int, ...]

# Attributes that are units, which the engine applies, and their kinds.
UNITS = {"activation": "activations", "activity_regularizer": "regularizers"}


class Layer(Unit, Placed, Described):
    """One layer of a model.

    A subclass takes its own arguments in `__init__` and records operations; it never sees a device, a batch
    size or a NumPy array. `activation`, if a subclass sets it (a name or a unit), is applied by the engine after
    `forward`.

    Any layer also takes:

    Args:
        name: by default the class's, with a number.
        input_shape: of one row of inputs, without the rows.
        input_dim: the same for rows that are vectors: their length.
        trainable: False freezes the layer: steps leave its weights alone, and their penalties are no part of the loss.
            It may be changed at any time, and acts at once: no new `compile` is needed; within `fit`, from the next
            epoch on.
        activity_regularizer: name or unit: a penalty on the outputs, its mean over the rows is added to the loss.

    Nothing per call is kept on `self`, so a layer may be used twice.

    Class attributes, by which a layer says more about itself; a constructor may set them too:
        output_range: the least and the largest output without the activation; None where that is not known.
        input_limit: of a layer whose inputs are integers from 0 on: what they are below. Others are refused.
        rescales: whether it brings inputs of any size to a scale of its own, so that nobody need scale them.
        moves_only: whether it passes its inputs on as they are, under another shape or order.
        compares_features: whether its outputs follow only from how a row's features compare, so that one alone says
            nothing.
        zeroes: whether it sets some of its inputs to 0 while training.
        activates_only: whether it does nothing but apply its activation, so that it may stand for one.
        declares_input: whether it only tells a model the shape of its inputs.
        takes_several: whether it takes several inputs: `build(b, *shapes)`, `forward(r, *xs)`; `backward` gets a tuple
            of them and returns as many gradients.

    A layer with several outputs returns a tuple of shapes from `build` and a tuple of tensors from `forward`, and
    `backward` gets tuples for y and dy.
    """

    kind = "layers"
    ignored: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "weights": (None,),
        "autocast": (True,),
        "batch_size": (None,),
        "compute_dtype": (None, "float32"),
        "input_dtype": (None, "float32"),
        "dynamic": (False,),
    }
    instead: ClassVar[Mapping[str, str]] = {"weights": "not there: call set_weights(...) once the layer is in a model"}
    common: ClassVar[Mapping[str, tuple[str, Any]]] = {
        "name": ("str | None", None),
        "input_shape": ("int | Sequence[int] | None", None),
        "input_dim": ("int | None", None),
        "trainable": ("bool | None", None),
        "activity_regularizer": ("Any", None),
    }
    activation: Activation | None = None
    renamed: ClassVar[dict[str, str]] = {}
    name: str = ""
    input_shape: Shape | None
    feature_names: tuple[str, ...] | None = None  # of the columns that it took statistics of
    trainable: bool = True
    activity_regularizer: Regularizer | None = None
    input_limit: int | None = None
    output_range: ClassVar[tuple[float, float] | None] = None
    rescales: ClassVar[bool] = False
    moves_only: ClassVar[bool] = False
    compares_features: ClassVar[bool] = False
    zeroes: bool = False
    activates_only: ClassVar[bool] = False
    declares_input: ClassVar[bool] = False
    _made: dict[str, Any] = {}  # the units that the constructor set

    def __init__(self) -> None:
        pass

    def _set_common(
        self,
        name: str | None = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None:
        if name:
            self.name = str(name)
        if trainable is not None:
            self.trainable = trainable
        if activity_regularizer is not None:
            self.activity_regularizer = activity_regularizer
        if input_shape is not None and input_dim is not None:
            raise ConfigError(f"{type(self).__name__}: give either input_shape or input_dim, not both")
        if input_dim is not None:
            input_shape = (input_dim,)
        if input_shape is not None:
            own = self.given_shape  # from an argument of the layer's own, such as Embedding's input_length
            self.set_input_shape(input_shape)
            if own is not None and own != self.input_shape:
                raise ConfigError(
                    f"{type(self).__name__}: input_shape={input_shape!r} contradicts the other arguments, which say "
                    f"{own}; leave one of them out"
                )
        taken = parameters_of(type(self))
        self._made = {name: getattr(self, name) for name in UNITS if name in taken}

    if not TYPE_CHECKING:  # hidden from type checkers, which would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "trainable":
                if truth(value) is None:
                    raise ConfigError(f"{self._shown()}: trainable is True or False, got {value!r}")
                value = truth(value)
            elif name in UNITS:
                value = self.unit(UNITS[name], value)
            super().__setattr__(name, value)

        def __getattr__(self, name: str) -> Any:
            if name == "output_shape":  # no property: a layer may have an argument of that name
                if self._output_shape is None:
                    raise MissingError(f"{self._shown()} has no output shape yet: it is known in a model that is built")
                return self._output_shape
            if name == "input_shape":  # none was given
                return self._taken_shape
            if name in ("input", "output"):  # symbols: of the layer's only call
                call = self._only_call(name)
                symbols = call.outputs if name == "output" else call.inputs or call.outputs
                return symbols[0] if len(symbols) == 1 else list(symbols)
            return super().__getattr__(name)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the networks: a copy belongs to none. It has weights of its own, with the same values."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_networks", "_calls")}

    @classmethod
    def modern(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        arguments = super().modern(arguments)
        if "batch_input_shape" in arguments:
            if "input_shape" in arguments or "input_dim" in arguments:
                raise TypeError(f"{cls.__name__}: give only one of input_shape, input_dim and batch_input_shape")
            batch_shape = arguments.pop("batch_input_shape")
            arguments["input_shape"] = without_rows(batch_shape, f"{cls.__name__}'s batch_input_shape")
        return arguments

    def unit(self, kind: str, value: Any) -> Any:
        """Make a unit for one of this layer's arguments, from a name, a config or an instance.

        An activation may also be a layer that only applies one, a scalar function f, or a pair (f, df).
        """
        made: Any = value
        if kind == Activation.kind:
            made = self._activation_of(value) if isinstance(value, Layer) else self._own_activation(value)
        made = registry.make(kind, made, type(self).__name__)
        if (isinstance(value, Layer) or _is_functions(value)) and isinstance(made, Unit):
            for name, argument in self.arguments.items():  # the config holds the unit
                if argument is value:
                    self._arguments[name] = made
        return made

    def _activation_of(self, layer: Layer) -> Activation | None:
        if layer.activates_only and layer.activity_regularizer is None:
            return layer.activation
        raise ConfigError(
            f"{type(self).__name__}: {layer!r} does more than apply an activation, so it cannot be one: add it to the "
            "model as the next layer"
        )

    def _own_activation(self, value: Any) -> Any:
        who = type(self).__name__
        if isinstance(value, int) and not isinstance(value, bool):
            first = next(iter(self.arguments.values()), value)
            raise ConfigError(
                f"{who}: an activation is a name or a unit, got {value!r}; sizes in the order of oldest Keras, inputs "
                f"before outputs, are written {who}({value}, input_dim={first!r})"
            )
        if _is_functions(value):
            package = type(self).__module__.partition(".")[0].replace("__main__", "nbdl")
            return own_activation(value, f"{who}'s activation", package)
        return value

    @property
    def given_shape(self) -> Shape | None:
        """The shape of one row of inputs, if it was given; `input_shape` is that of a built model, too."""
        return vars(self).get("input_shape", getattr(type(self), "input_shape", None))

    @property
    def declared_shape(self) -> Shape | None:
        return self.given_shape if self.declares_input else None

    def set_input_shape(self, shape: Any) -> None:
        """Set the shape of one row of inputs."""
        self.input_shape = shape_of(shape, type(self).__name__)

    def build(self, b: Builder, shape: Shape) -> Shape:
        """Create weights with `b.weight(...)`; return the shape of one row of outputs."""
        return shape

    def outputs(self, b: Builder, *shapes: Shape) -> tuple[Shape, ...]:
        """Build for inputs of these shapes; return the shape of one row of each output, after the activation."""
        if len(shapes) > 1 and not self.takes_several:
            raise ConfigError(f"{self._shown()} ({type(self).__name__}) takes one input, got {len(shapes)}")
        built: Any = self.build(b, *shapes)
        several = isinstance(built, tuple) and bool(built) and all(isinstance(one, tuple) for one in built)
        each = built if several else (built,)
        if not all(isinstance(one, tuple) and all(_is_size(size) for size in one) for one in each):
            raise ConfigError(
                f"layer {self.name!r} ({type(self).__name__}): build returned {built!r}; it returns the shape of one "
                "row of outputs, such as `return (self.units,)`"
            )
        found = tuple(tuple(int(size) for size in one) for one in each)
        if self.activation is None:
            return found
        if len(found) > 1:
            raise ConfigError(f"{self._shown()} has {len(found)} outputs: an activation is for a layer with one")
        return (self.activation.output_shape(found[0]),)

    # -- described networks -----------------------------------------------------------------------------

    def __call__(self, *inputs: Any) -> Any:
        """Describe a network: apply the layer to symbols, and return those of its outputs.

        Args:
            inputs: a symbol; of a layer that takes several a list of them, or several arguments.

        Raises:
            ConfigError: these are no symbols, or the layer does not take such inputs.
        """
        if self.declares_input:
            raise ConfigError(f"{self._shown()} declares an input: it stands for a symbol itself, and is not called")
        found = symbols_in(inputs[0] if len(inputs) == 1 else inputs, f"{self._shown()} was called")
        call = Call(self, tuple(found))
        symbols = call.give(self.shapes_for([symbol.row_shape for symbol in found]))
        self.add_call(call)
        return symbols[0] if len(symbols) == 1 else list(symbols)

    def shapes_for(self, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """Return the shapes of one row of the outputs for inputs of these shapes, and build nothing."""
        from nbdl.units.builder import Builder

        probe = copy.deepcopy(self, {id(self._weights): None})  # `build` sets attributes
        probe.name = probe.name or snake_case(type(self).__name__)  # errors say which layer it is
        return probe.outputs(Builder(probe, []), *shapes)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        """Record y from x; return y and whatever `backward` needs."""
        raise self.unwritten("forward")

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        """Record `r.gradient(weight, ...)` for each weight and return dx."""
        raise self.unwritten("backward")

    # -- layers within layers ---------------------------------------------------------------------------

    def applied(self, r: Recorder, *xs: Tensor) -> tuple[Any, Any]:
        """Record y of this layer within another, its activation included; return y and what `propagated` needs."""
        y, saved = self.forward(r, *xs)
        passed: list[Any] = [(self, xs if self.takes_several else xs[0], y, saved)]
        if self.activation is not None:
            z = y
            y, saved = self.activation.forward(r, z)
            passed.append((self.activation, z, y, saved))
        return y, passed

    def propagated(self, r: Recorder, passed: Any, dy: Any) -> Any:
        """Record the gradients of this layer within another; return dx, of several inputs a tuple."""
        for unit, x, y, saved in reversed(passed):
            dy = unit.backward(r, x, y, dy, saved)
        return dy

    def free_name(self, taken: Iterable[str]) -> str:
        """Return the name that a layer gets unless it has one."""
        base, number, taken = snake_case(type(self).__name__), 1, set(taken)
        while f"{base}_{number}" in taken:
            number += 1
        return f"{base}_{number}"

    def _shown(self) -> str:
        return f"layer {self.name or type(self).__name__!r}"

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the outputs for inputs of a shape; both with the rows, which are None.

        Raises:
            ConfigError: the layer does not take such inputs.
        """
        where = f"{self._shown()}: compute_output_shape"
        several = self.takes_several and bool(input_shape) and not isinstance(input_shape[0], int | type(None))
        found = self.shapes_for([without_rows(one, where) for one in (input_shape if several else [input_shape])])
        return (None, *found[0])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["name"] = self.name
        config.pop("input_shape", None)
        if self.given_shape is not None:
            config["input_shape"] = list(self.given_shape)
        if "input_dim" not in vars(self):  # else it is an argument of the layer's own
            config.pop("input_dim", None)
        if "trainable" in config:
            config["trainable"] = self.trainable
        for name, made in self._made.items():
            if getattr(self, name) is not made:  # set since
                config[name] = serialize(getattr(self, name))
        return config

    def stored_config(self) -> dict[str, Any]:
        config = super().stored_config()
        if self.trainable:
            config.pop("trainable", None)
        return config


def _is_functions(value: Any) -> bool:
    """Whether it is a function, one that Numba has compiled, or several."""
    return isinstance(value, tuple | list) or inspect.isfunction(getattr(value, "py_func", value))


def _is_size(size: Any) -> bool:
    return not isinstance(size, bool) and hasattr(size, "__index__") and int(size) > 0


def shape_of(shape: Any, where: str) -> Shape:
    """Make a shape without rows from an int or a sequence; each size is a positive integer."""
    sizes = tuple(shape) if getattr(shape, "ndim", 1) and isinstance(shape, Iterable) else (shape,)
    for size in sizes:
        if isinstance(size, bool) or not hasattr(size, "__index__") or size <= 0:
            raise ConfigError(f"{where}: a shape is one or more positive integers without the rows, got {shape!r}")
    return tuple(int(size) for size in sizes)


def without_rows(shape: Any, where: str) -> Shape:
    """Drop the first size of a shape, the number of rows: nbdl takes any number of them.

    Raises:
        ConfigError: it is not a sequence of sizes that begins with the rows.
    """
    sizes = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sizes) < 2 or not (sizes[0] is None or (hasattr(sizes[0], "__index__") and sizes[0] > 0)):
        raise ConfigError(f"{where}: a shape with the rows first is wanted, such as (None, 4), got {shape!r}")
    return shape_of(sizes[1:], where)


def snake_case(name: str) -> str:
    """`RMSNormalization` → `rms_normalization`, as Keras names layers: `p_re_lu`, too."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", re.sub(r"(?<=.)(?=[A-Z][a-z]+)", "_", name)).lower()
