"""value_and_gradient: the loss of a model on a batch and its gradients, for training steps of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.model.base import Model
from nbdl.model.compile import goals_of
from nbdl.model.owner import job_of
from nbdl.network.setup import Setup
from nbdl.units.registry import registry

if TYPE_CHECKING:
    import numpy as np


def value_and_gradient(
    model: Model, x: Any, y: Any, loss: Any = None, sample_weight: Any = None
) -> tuple[float, list[np.ndarray]]:
    """Return the loss on a batch, penalties included, and its gradient by each of `model.trainable_weights`.

    Layers such as Dropout act as in training, and draw anew in each call. States, such as the means of
    BatchNormalization, stay as they are.

    Args:
        x, y, sample_weight: a batch, as `fit` takes it.
        loss: as for `compile`; by default that of `compile`.

    Raises:
        ConfigError: there is no loss.
        DataError: the data does not fit.

    >>> import nbdl, numpy as np
    >>> model = nbdl.Sequential([nbdl.layers.Dense(1, input_dim=2, kernel_initializer="ones")])
    >>> x, y = np.array([[1.0, 2.0]]), np.array([[1.0]])
    >>> loss, (kernel, bias) = nbdl.value_and_gradient(model, x, y, "mse")
    >>> loss, kernel.ravel().tolist(), bias.tolist()
    (4.0, [4.0, 8.0], [4.0])
    """
    from nbdl.training.gradients import value_and_gradient

    job = job_of(model)
    setup = job.compiled() if loss is None else _setup(model, loss)
    return value_and_gradient(job, setup, x, y, sample_weight)


def _setup(model: Model, loss: Any) -> Setup:
    """A setup of losses alone, kept where the loss is a name or a unit."""
    job = job_of(model)
    key = tuple(sorted(loss.items())) if isinstance(loss, dict) else tuple(loss) if isinstance(loss, list) else loss
    try:
        found = job.programs.setups.get(key)
    except TypeError:  # it holds what cannot be a key
        found, key = None, None
    if found is None:
        default = registry.default("optimizers")
        optimizer = registry.make("optimizers", default.name if default else "")
        found = Setup(optimizer, goals_of(job.network.output_names, loss, None, None, None))
        if key is not None:
            job.programs.setups[key] = found
    return found
