"""fit: options, data, callbacks and the loop put together; see `loops` for the loop itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.data.checks import count
from nbdl.errors import ConfigError, DivergenceError
from nbdl.network.columns import kept_if_trained, learn_names
from nbdl.network.update import finalize
from nbdl.training.batches import is_stream
from nbdl.training.callbacks import CallbackList, History, made
from nbdl.training.evaluate import Evaluation
from nbdl.training.fit_data import FitData, validated_epochs, validation_of
from nbdl.training.inputs import check_threads
from nbdl.training.loops import EpochLoop
from nbdl.training.options import FitOptions
from nbdl.training.own_steps import OwnStep
from nbdl.training.progress import ProgressLine
from nbdl.training.steps import alone

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.units.callback import CallbackModel


def fit(job: Job, model: CallbackModel, x: Any, y: Any, options: FitOptions, step: OwnStep | None = None) -> History:
    """Train a model; see `Model.fit`.

    Args:
        job: what is trained.
        model: what callbacks see of it.
        step: a `train_step` that its author has written.
    """
    last = count(options.epochs, "epochs", 1, 0)
    first = count(options.initial_epoch, "initial_epoch", 0, 0)
    check_threads(options.threads)
    if job.in_own_step:
        raise ConfigError("fit was called within this model's train_step: call train_on_batch, or super().train_step")
    with alone(job), kept_if_trained(job):
        data = FitData(job, x, y, options)
        loop = data.loop(options.class_weight, options.threads) if step is None else data.own_loop(step, options)
        learn_names(job.network, *data.names)
        history = History()
        shown = [ProgressLine(options.verbose)] if options.verbose else []
        params: dict[str, Any] = {
            "epochs": last, "steps": loop.steps_per_epoch, "verbose": options.verbose, "batch_size": data.batch,
            "initial_epoch": first,
        }  # fmt: skip
        hooks = CallbackList([*made(options.callbacks, "fit's callbacks"), history, *shown], model, params)
        loop.validates = validated_epochs(options.validation_freq)
        loop.validation = _validation(job, data, options, hooks)
        params["do_validation"] = loop.validation is not None
        params["figures"] = hooks.figures(loop.validation is not None)
        job.history = history
        job.stop_training = False
        _train(job, loop, last, hooks)
    return history


def _validation(job: Job, data: FitData, options: FitOptions, hooks: CallbackList) -> Evaluation | None:
    """Return what is evaluated after epochs, if anything: data of its own, or the rows that were split off."""
    own_size = options.validation_batch_size is not None or is_stream(options.validation_data)
    size = options.validation_batch_size if own_size else options.batch_size
    if options.validation_data is not None:
        return validation_of(job, options.validation_data, size, options.validation_steps, hooks)
    return data.validation(size, options.validation_steps, hooks) if data.rest else None


def _train(job: Job, loop: EpochLoop, last: int, hooks: CallbackList) -> None:
    """Run the loop between `on_train_begin` and `on_train_end`, which callbacks that began get whatever happens."""
    before = loop.runner.state.iterations
    try:
        hooks.begin("on_train_begin", {})
        try:
            loop.run(hooks.params["initial_epoch"], last, hooks)
        except DivergenceError as error:
            if not any(hooks.call("on_divergence", error)):
                raise
            job.stop_training = True
            loop.progress.end_epoch(error.loss)
        if loop.runner.state.iterations > before:
            finalize(job.optimizer, loop.runner.state, job.network.store)
    except BaseException as error:
        hooks.end("on_train_end", loop.metrics, error)
        raise
    hooks.end("on_train_end", loop.metrics)
