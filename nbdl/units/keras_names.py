"""Names of Keras's that nbdl lacks or spells otherwise, for functions and units."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from nbdl.errors import PluginError, did_you_mean, warn
from nbdl.units import arguments
from nbdl.units.overrides import UNCALLED

P = ParamSpec("P")
R = TypeVar("R")

# Attributes and methods of Keras's that nbdl lacks, and what to use instead.
ATTRIBUTES: dict[str, str] = {
    "fit_generator": "part of fit: fit(generator, steps_per_epoch=..., epochs=...), where a step is a batch",
    "evaluate_generator": "part of evaluate: evaluate(generator, steps=...), where a step is a batch",
    "predict_generator": "part of predict: predict(generator, steps=...), where a step is a batch",
    "losses": "not there: penalties are part of the loss that fit and evaluate give",
    "to_yaml": "not there: to_json and get_config give the same",
    "add_loss": "a method of models: model.add_loss(symbol)",
    "activity_regularizer": "an argument of layers, not of models",
    "compute_output_shape": "not there: the inputs of a graph have one shape; see model.output_shape",
    "operations": "not there: see model.layers",
    "path": "not there: layers have names, and weights have theirs below that of their layer",
    "input_spec": "not there: build(b, shape) looks at the shape, and raises ConfigError if it does not fit",
    "call_signature_parameters": "not there: forward(r, x) is what a layer computes",
    "rematerialized_call": "not there: what backward reads is kept in a work area that is made once",
    "variable_serialization_spec": "not there: a file holds weights by name",
    **dict.fromkeys(("metrics", "metrics_variables", "add_metric"), "not there: metrics are given to compile"),
    **dict.fromkeys(("dtype_policy", "autocast", "input_dtype"), "not there: everything is float32"),
    **dict.fromkeys(("supports_masking", "compute_mask"), "not there: no layer takes or makes masks"),
    **dict.fromkeys(("jit_compile", "supports_jit"), "not there: everything is compiled"),
    **dict.fromkeys(
        ("get_state_tree", "set_state_tree", "jax_state_sync"), "not there: see get_weights and set_weights"
    ),
    **dict.fromkeys(
        (
            "quantize",
            "quantization_mode",
            "quantized_build",
            "quantized_call",
            "get_quantization_layer_structure",
            "enable_lora",
            "lora_enabled",
        ),
        "not there: weights are float32, for training and for use",
    ),
    "steps_per_execution": "not there: fit runs as many steps at a time as fit between two lines of progress",
}

# Keras's names of arguments that have another here.
OLDER = {"filepath": "path", "file_path": "path", "json_string": "text", "x": "y"}


@dataclass(frozen=True)
class Missing:
    """Arguments of Keras's that a function or a unit lacks.

    Attributes:
        ignored: the values of each that say what nbdl does anyway, its default first; with ... among them any
            value does, since none changes a result. They are passed over.
        instead: what to do where another value is given.
    """

    ignored: Mapping[str, tuple[Any, ...]]
    instead: Mapping[str, str]

    def __post_init__(self) -> None:
        for name, values in self.ignored.items():
            if not values or not isinstance(values, tuple):
                raise PluginError(
                    f"ignored names a tuple of values, Keras's default first, for {name!r}, got {values!r}"
                )

    def with_(self, ignored: Mapping[str, tuple[Any, ...]], instead: Mapping[str, str]) -> Missing:
        """Add others to these."""
        return Missing({**self.ignored, **ignored}, {**self.instead, **instead})

    def without(self, arguments: Mapping[str, Any], known: Container[str], who: str) -> dict[str, Any]:
        """Leave out the arguments that are passed over; a seed is left out with a warning.

        Args:
            known: arguments that are not missing, and so are kept.
            who: the function or unit, for the warning.
        """
        kept = {}
        for name, value in arguments.items():
            if name in known or name not in self.ignored:
                kept[name] = value
            elif name == "seed" and value is not None:
                warn(f"{who}: seed={value!r} is not used; seed is {self.instead['seed']}")
            elif not any(
                one is ... or value is one or (type(value) is type(one) and value == one) for one in self.ignored[name]
            ):
                kept[name] = value
        return kept

    def hint(self, name: str) -> str:
        """Say what to do instead of giving a missing argument; "" if it is none."""
        if name in self.instead or name not in self.ignored:
            return self.instead.get(name, "")
        return f"not there: leave it out, or give {' or '.join(map(repr, self.ignored[name]))}"


# What functions and units of all kinds lack.
ALL_LACK = Missing(
    ignored={"axis": (-1,), "dtype": (None, "float32"), "seed": (None,)},
    instead={
        "axis": "not there: it is the last one",
        "dtype": "not needed: everything is float32",
        "seed": "not there: all that is random follows from the model's seed, Sequential(seed=...)",
    },
)

# What functions and the methods of models lack.
FUNCTIONS_LACK = Missing(
    ignored={
        **ALL_LACK.ignored,
        **dict.fromkeys(("workers", "nb_worker", "use_multiprocessing", "pickle_safe"), (...,)),
        **dict.fromkeys(("max_queue_size", "max_q_size"), (...,)),
        "jit_compile": ("auto", ...),
        "auto_scale_loss": (True, ...),
        "steps_per_execution": (1, ...),
        "loss_weights": (None,),
        "run_eagerly": (False, None),
        "batch_size": (None,),
        "by_name": (True, False),
        "call_function": (None,),
        "max_shard_size": (None,),
        "recursive": (False,),
        "custom_objects": (None, {}),
        "distribute": (None,),
        "include_optimizer": (True,),
        "layer_range": (None,),
        "options": (None,),
        "rebuild": (True,),
        "safe_mode": (True, False),
        "sample_weight_mode": (None,),
        "save_format": (None,),
        "save_traces": (True, False),
        "show_accuracy": (False,),
        "show_trainable": (False,),
        "signatures": (None,),
        "skip_mismatch": (False,),
        "target_tensors": (None,),
        "theano_mode": (None,),
        "zipped": (None, True),
    },
    instead={
        **ALL_LACK.instead,
        "samples_per_epoch": "an older argument: write steps_per_epoch=..., in batches rather than rows",
        "nb_val_samples": "an older argument: write validation_steps=..., in batches rather than rows",
        "val_samples": "an older argument: write steps=..., in batches rather than rows",
        "loss_weights": "not needed: a model has one loss",
        "run_eagerly": "not there: set NUMBA_DISABLE_JIT=1 to run everything in plain Python",
        "custom_objects": "not needed: call nbdl.register(...) with your units before loading",
        "class_mode": "an older argument: leave it out, the loss tells it",
        "show_accuracy": "an older argument: compile(..., metrics=['accuracy']) shows it",
        "theano_mode": "an older argument: leave it out",
        "include_optimizer": "not there: load_model(path, compile=False) leaves the optimizer out",
        "save_format": "not there: nbdl has one format of its own; export writes others",
        "skip_mismatch": "not there: all weights must fit; set_weights of a layer sets that layer's alone",
        "target_tensors": "not there: fit takes arrays and batches",
        "sample_weight_mode": "not there: sample_weight has one weight for each row",
        "layer_range": "not there: the table has all layers",
        "show_trainable": "not there: layer.trainable tells it of each layer, and the table ends with the numbers",
    },
)


def unknown_attribute(owner: Any, name: str) -> Any:
    """Raise the error of `__getattr__`, which says what to use instead if Keras has that attribute."""
    if hasattr(type(owner), name):  # a property that failed with an AttributeError of its own: raise that
        return object.__getattribute__(owner, name)
    known = {**ATTRIBUTES, **getattr(type(owner), "_missing", FUNCTIONS_LACK).instead}
    hint = f"; {name} is {known[name]}" if name in known else ""
    if name in (uncalled := UNCALLED.get(getattr(type(owner), "kind", "models"), {})):
        hint = f"; {uncalled[name]}"
    raise AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=owner)


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function: check its arguments, and reject Keras arguments that it lacks with a remedy."""
    return placed()(function)


def placed(*positions: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Do the same for a function that takes arguments by position in Keras's order, with those that it lacks."""

    def explained(function: Callable[P, R]) -> Callable[P, R]:
        signature, who = inspect.signature(function), function.__name__
        who = function.__qualname__.removesuffix(".__init__") if who == "__init__" else who
        method = arguments.is_method(function)
        known = {**signature.parameters}
        if method:
            del known[next(iter(known))]
        order = positions or tuple(arguments.own_positions(signature, method))
        checks, owners = arguments.checks_of(known), int(method)

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            if len(args) <= owners and not kwargs:  # such as `build()`, which each prediction calls
                return function(*args, **kwargs)
            named = arguments.by_name(who, order, args[owners:], kwargs)
            if not named.keys() <= known.keys():
                named = _without_kerass(named, known, who)
            return function(*args[:owners], **arguments.checked(who, checks, named))  # type: ignore[arg-type]

        wrapper.__signature__ = placed_signature(signature, order, method, FUNCTIONS_LACK)  # type: ignore[attr-defined]
        return wrapper

    return explained


def _without_kerass(named: dict[str, Any], known: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Translate Keras's names of arguments, and leave out those that change nothing here.

    Raises:
        TypeError: nbdl lacks an argument; the message says what to use instead.
    """
    for old, name in OLDER.items():
        if old in named and old not in known and name in known and name not in named:
            named[name] = named.pop(old)
    kept = FUNCTIONS_LACK.without(named, known, who)
    for name in kept.keys() - known.keys():
        hint = f"{who}: {name}= is {FUNCTIONS_LACK.hint(name)}" if FUNCTIONS_LACK.hint(name) else ""
        raise TypeError(hint or f"{who} has no argument {name!r}.{did_you_mean(name, known)}")
    return kept


def placed_signature(
    signature: inspect.Signature, order: Sequence[str], method: bool, missing: Missing
) -> inspect.Signature:
    """Make a signature that takes arguments by position in that order, which may name missing ones."""
    lacking = {
        name: missing.ignored[name][0] for name in order if name not in signature.parameters and name in missing.ignored
    }
    unknown = [name for name in order if name not in signature.parameters and name not in lacking]
    if unknown:
        raise PluginError(f"positions names {unknown[0]!r}, which is neither an argument nor in `ignored`")
    return arguments.ordered(signature, order, lacking, method)


def translate(renamed: dict[str, str], arguments: dict[str, Any], where: str) -> dict[str, Any]:
    """Rename older spellings of arguments; refuse both spellings at once."""
    translated: dict[str, Any] = {}
    for name, value in arguments.items():
        modern = renamed.get(name, name)
        if modern in translated or (modern != name and modern in arguments):
            raise TypeError(f"{where}: {name!r} is the older name of {modern!r}; give only one of them")
        translated[modern] = value
    return translated
