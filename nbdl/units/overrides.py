"""Methods that Keras calls and nbdl does not: a subclass that writes one is refused, since it would have no effect."""

from __future__ import annotations

from nbdl.errors import ConfigError

STEP = (
    "fit, evaluate and predict run a compiled program of the layers, the loss and the optimizer; write those as units "
    "(nbdl.Layer, nbdl.Loss, nbdl.Optimizer), or a train_step of your own over nbdl.value_and_gradient"
)
STATELESS = "layers keep nothing from one batch to the next, and metrics start again in each epoch: leave the call out"
GRAPH = "a model is layers put together, Model(inputs, outputs): write a layer, with forward and backward"
FORWARD = "write forward and backward, which record operations: see help(nbdl.Layer)"
BUILD = "build(b, shape) returns the shape of the outputs"
WEIGHT = "build makes weights with b.weight(...)"
CONFIG = "from_config(config) makes it again from what get_config returned"
RECORDED = "a file holds weights by name, and get_config's result"

UNCALLED: dict[str, dict[str, str]] = {
    "models": {
        **dict.fromkeys(
            (
                "test_step", "predict_step", "make_train_function", "make_test_function",
                "make_predict_function", "train_function", "test_function", "predict_function", "compute_loss",
                "compute_metrics", "compute_loss_and_updates", "stateless_compute_loss", "get_metrics_result",
                "metrics", "add_metric", "compiled_loss",
                "compiled_metrics",
            ),
            STEP,
        ),
        **dict.fromkeys(("reset_states", "reset_state"), STATELESS),
        **dict.fromkeys(
            (
                "call", "compute_mask", "compute_output_spec", "stateless_call", "symbolic_call", "add_weight",
                "add_variable",
            ),
            GRAPH,
        ),
        **dict.fromkeys(
            ("build_from_config", "get_build_config", "compile_from_config", "get_compile_config"), CONFIG
        ),
        **dict.fromkeys(("save_own_variables", "load_own_variables"), RECORDED),
    },
    "layers": {
        **dict.fromkeys(("call", "compute_mask", "stateless_call", "symbolic_call", "compute_output_spec"), FORWARD),
        **dict.fromkeys(("compute_output_shape", "get_output_shape_for"), BUILD),
        **dict.fromkeys(("add_weight", "add_variable"), WEIGHT),
        "get_output": FORWARD,
        **dict.fromkeys(("build_from_config", "get_build_config"), CONFIG),
        **dict.fromkeys(("save_own_variables", "load_own_variables"), RECORDED),
    },
    "losses": {"call": "write values and gradient, which record operations: see help(nbdl.Loss)"},
    "metrics": dict.fromkeys(
        ("update_state", "reset_state", "reset_states"), "write update and result: see help(nbdl.Metric)"
    ),
    "optimizers": dict.fromkeys(
        ("update_step", "apply_gradients", "apply", "get_updates", "get_gradients", "minimize", "_create_slots",
         "_resource_apply_dense", "build"),
        "write per_step and update: see help(nbdl.Optimizer)",
    ),
    "regularizers": {"__call__": "write penalty and gradient: see help(nbdl.Regularizer)"},
    "constraints": {"__call__": "write project: see help(nbdl.Constraint)"},
    "activations": {"__call__": "write forward and backward: see help(nbdl.Activation)"},
    "initializers": {"call": "write __call__(shape, random): see help(nbdl.Initializer)"},
    "schedules": {"call": "write __call__(step): see help(nbdl.Schedule)"},
}  # fmt: skip


def refuse_uncalled(kind: str, cls: type, base: type) -> None:
    """Raise ConfigError if a class writes a method that nothing calls.

    Args:
        kind: "models", "layers", ...
        base: nbdl's own class of that kind, whose own methods do not count.
    """
    for name, instead in UNCALLED.get(kind, {}).items():
        if any(name in vars(one) for one in cls.__mro__ if one not in base.__mro__):
            raise ConfigError(f"{cls.__name__}.{name}: nbdl never calls {name!r}; {instead}")
