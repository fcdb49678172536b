"""What names of Keras's mean here: arguments without use, those that are missing, and older spellings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from nbdl.errors import PluginError, did_you_mean, warn
from nbdl.units import arguments
from nbdl.units.overrides import UNCALLED

P = ParamSpec("P")
R = TypeVar("R")

# What Keras has under a name and nbdl has not, and what to do instead.
INSTEAD: dict[str, str] = {
    "samples_per_epoch": "an older argument: write steps_per_epoch=..., in batches rather than rows",
    "nb_val_samples": "an older argument: write validation_steps=..., in batches rather than rows",
    "val_samples": "an older argument: write steps=..., in batches rather than rows",
    "reduction": "not there: a loss is the mean over the rows, each times its sample_weight (Keras's default)",
    "axis": "not there: it is the last one",
    "loss_scale_factor": "not needed: everything inside is float32",
    "loss_weights": "not needed: a model has one loss",
    "run_eagerly": "not there: set NUMBA_DISABLE_JIT=1 to run everything in plain Python",
    "custom_objects": "not needed: call nbdl.register(...) with your units before loading",
    "seed": "not there: all that is random follows from the model's seed, Sequential(seed=...)",
    "noise_shape": "not there: every element is drawn by itself",
    "dtype": "not needed: everything is float32",
    "weights": "not there: call set_weights(...) once the layer is in a model",
    "fit_generator": "part of fit: fit(generator, steps_per_epoch=..., epochs=...), where a step is a batch",
    "evaluate_generator": "part of evaluate: evaluate(generator, steps=...), where a step is a batch",
    "predict_generator": "part of predict: predict(generator, steps=...), where a step is a batch",
    "lora_rank": "not there: there is no low-rank adaptation",
    "lora_alpha": "not there: there is no low-rank adaptation",
    "quantization_config": "not there: everything is float32",
    "input_axes": "not there: fans are counted from all axes but the last",
    "output_axes": "not there: fans are counted from all axes but the last",
    "renorm": "not there: there is no batch renormalization",
    "renorm_clipping": "not there: there is no batch renormalization",
    "renorm_momentum": "not there: there is no batch renormalization",
    "thresholds": "not there: num_thresholds=... spreads them evenly from 0 to 1",
    "multi_label": "not there: all columns count together; class_id or a metric of each column tells more",
    "num_labels": "for multi_label=True, which is not there",
    "label_weights": "for multi_label=True, which is not there",
    "from_sorted_ids": "not there: predictions are a number for each class",
    "data_format": "not there: the last axis is that of the features",
    "sparse": "not there: arrays are dense",
    "ragged": "not there: arrays are dense",
    "tensor": "not there: a model is a list of layers",
    "optional": "not there: a model has one input",
    "embeddings_freq": "not there: see histogram_freq=...",
    "embeddings_metadata": "not there: see histogram_freq=...",
    "output": "not there: see model.explain() for how values flow",
    "outputs": "not there: a model is a chain of layers; see model.output_shape and model.explain()",
    "input": "not there: see model.explain() for how values flow",
    "inputs": "not there: a model is a chain of layers; see model.input_shape and model.explain()",
    "losses": "not there: penalties are part of the loss that fit and evaluate give",
    "to_yaml": "not there: to_json and get_config give the same",
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
}

# Keras's names of arguments that have another here.
OLDER = {"filepath": "path", "file_path": "path", "json_string": "text", "x": "y"}

# Keras's arguments that change no result, whatever their value, with their defaults.
UNUSED: dict[str, Any] = {
    "workers": 1, "nb_worker": 1, "use_multiprocessing": False, "pickle_safe": False, "max_queue_size": 10,
    "max_q_size": 10, "jit_compile": "auto", "auto_scale_loss": True, "steps_per_execution": 1, "expand_nested": False,
}  # fmt: skip

# Values of these that say what nbdl does anyway, and are let pass.
HARMLESS: dict[str, tuple[Any, ...]] = {
    "reduction": ("sum_over_batch_size", "auto"),
    "axis": (-1,),
    "loss_scale_factor": (None,),
    "loss_weights": (None,),
    "run_eagerly": (False, None),
    "noise_shape": (None,),
    "dtype": (None, "float32"),
    "autocast": (True,),
    "weights": (None,),
    "seed": (None,),
    "batch_size": (None,),
    "data_format": (None, "channels_last"),
    "mode": (0,),
    "renorm": (False,),
    "synchronized": (False,),
    "multi_label": (False,),
    "lora_rank": (None,),
    "lora_alpha": (None,),
    "quantization_config": (None,),
    "input_axes": (None,),
    "output_axes": (None,),
    "renorm_clipping": (None,),
    "renorm_momentum": (0.99,),
    "thresholds": (None,),
    "num_labels": (None,),
    "label_weights": (None,),
    "from_sorted_ids": (False,),
    "sparse": (None, False),
    "ragged": (None, False),
    "tensor": (None,),
    "optional": (False,),
    "batch_shape": (None,),
    "embeddings_freq": (0,),
    "embeddings_metadata": (None,),
    "double_checkpoint": (False,),
    "profile_batch": (0,),
    "write_graph": (True, False),
    "write_images": (False,),
    "write_steps_per_second": (False,),
    "by_name": (True, False),
    "call_function": (None,),
    "max_shard_size": (None,),
    "recursive": (False,),
    "compute_dtype": (None, "float32"),
    "custom_objects": (None, {}),
    "distribute": (None,),
    "dynamic": (False,),
    "include_optimizer": (True,),
    "input_dtype": (None, "float32"),
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
    **{name: (default,) for name, default in UNUSED.items()},
}


def without_harmless(arguments: Mapping[str, Any], known: Container[str], where: str) -> dict[str, Any]:
    """The arguments without Keras's that say what nbdl does anyway; a seed is left out with a warning."""
    kept = {}
    for name, value in arguments.items():
        harmless = HARMLESS.get(name, ()) if name not in known else ()
        if name == "seed" and name not in known and value is not None:
            warn(f"{where}: seed={value!r} is not used; seed is {INSTEAD['seed']}")
        elif name in UNUSED and name not in known:
            continue
        elif not any(value is one or (type(value) is type(one) and value == one) for one in harmless):
            kept[name] = value
    return kept


def instead(name: str) -> str:
    """What is to be done instead of giving an argument of Keras's; "" if it is none."""
    if name in INSTEAD or name not in HARMLESS:
        return INSTEAD.get(name, "")
    return f"not there: leave it out, or give {' or '.join(map(repr, HARMLESS[name]))}"


def unknown_attribute(owner: Any, name: str) -> Any:
    """What `__getattr__` does: raise an error that says what to use instead, if Keras has that attribute."""
    if hasattr(type(owner), name):  # a property that failed with an AttributeError of its own: raise that
        return object.__getattribute__(owner, name)
    hint = f"; {name} is {INSTEAD[name]}" if name in INSTEAD else ""
    if name in (uncalled := UNCALLED.get(getattr(type(owner), "kind", "models"), {})):
        hint = f"; {uncalled[name]}"
    raise AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=owner)


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Check a function's arguments, and let it say of Keras's that it lacks what to use instead."""
    return placed()(function)


def placed(*positions: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The same for a function whose arguments have another order by position: Keras's, with those that it lacks."""

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
            given = arguments.by_name(who, order, args[owners:], kwargs)
            if not given.keys() <= known.keys():
                given = _without_kerass(given, known, who)
            return function(*args[:owners], **arguments.checked(who, checks, given))  # type: ignore[arg-type]

        wrapper.__signature__ = placed_signature(signature, order, method)  # type: ignore[attr-defined]
        return wrapper

    return explained


def _without_kerass(given: dict[str, Any], known: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Translate Keras's names of arguments, and leave out those without use here.

    Raises:
        TypeError: nbdl lacks an argument; the message says what to use instead.
    """
    for old, name in OLDER.items():
        if old in given and old not in known and name in known and name not in given:
            given[name] = given.pop(old)
    kept = without_harmless(given, known, who)
    for name in kept.keys() - known.keys():
        hint = f"{who}: {name}= is {instead(name)}" if instead(name) else ""
        raise TypeError(hint or f"{who} has no argument {name!r}.{did_you_mean(name, known)}")
    return kept


def placed_signature(signature: inspect.Signature, order: Sequence[str], method: bool) -> inspect.Signature:
    lacking = {name: HARMLESS[name][0] for name in order if name not in signature.parameters and name in HARMLESS}
    unknown = [name for name in order if name not in signature.parameters and name not in lacking]
    if unknown:
        raise PluginError(
            f"positions names {unknown[0]!r}, which is neither an argument nor one of Keras's without use"
        )
    return arguments.ordered(signature, order, lacking, method)


def translate(renamed: dict[str, str], arguments: dict[str, Any], where: str) -> dict[str, Any]:
    """Rename older spellings of arguments; both spellings at once are refused."""
    translated: dict[str, Any] = {}
    for name, value in arguments.items():
        modern = renamed.get(name, name)
        if modern in translated or (modern != name and modern in arguments):
            raise TypeError(f"{where}: {name!r} is the older name of {modern!r}; give only one of them")
        translated[modern] = value
    return translated
