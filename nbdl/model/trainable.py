"""Trainable: fit, and steps on single batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.model.predictive import Predictive, returned
from nbdl.training.progress import check_level
from nbdl.units.keras_names import explained

if TYPE_CHECKING:
    from nbdl.training.callbacks import History
    from nbdl.units.callback import Callback


class Trainable(Predictive):
    """Training of a model."""

    @explained
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: bool | int | str = "auto",
        callbacks: Sequence[Callback | type[Callback] | str] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        threads: int | None = None,
        nb_epoch: int | None = None,
        *,
        encoded: bool = False,
    ) -> History:
        """Train, on the model's device.

        Args:
            x: inputs, rows × features, or an iterable of batches, which then brings y and weights.
            y: targets, as the loss wants them.
            batch_size: rows of a step; default 32, or what makes `steps_per_epoch` steps of the rows. The last, short
                batch is kept.
            epochs: number of the last epoch; default 1. `nb_epoch` is the Keras 1 spelling.
            verbose: 0 nothing, 1 a bar on a terminal and else a line per epoch (and every ten seconds within one), 2 a
                line per epoch; "auto" is 1.
            callbacks: units or instances of `Callback`.
            validation_split: share of the rows, from the end and before shuffling, to validate on. Where the rows are
                sorted by class a warning says so.
            validation_data: (x, y), (x, y, weights) or an iterable of batches to validate on; wins over the split.
            shuffle: a new order each epoch, from the model's seed: of the rows, or with "batch" of whole batches, as in
                Keras 1. Of iterables with `__getitem__` and `__len__` the order of batches; others come as they are.
            class_weight: {class: weight} multiplies the training loss of each class's rows, and a class without a
                weight has 1; "balanced" is rows / (classes · rows of the class), as in scikit-learn. For integer
                labels, one-hot columns, or 0 and 1 (-1 and 1) for a single output. It goes with `sample_weight`:
                they are multiplied (Keras refuses both).
            sample_weight: one weight per row, for the loss: Σ wᵢ·lossᵢ / rows, as in Keras.
            initial_epoch: number of the first epoch, for going on.
            steps_per_epoch: steps of an epoch; default all rows, or batches, once. The next epoch goes on where one
                stopped, and begins again when the data runs out (Keras ends the epoch there). A generator that runs out
                ends the training, with a warning.
            validation_steps: batches of a validation; default all.
            validation_batch_size: rows of its batches; default `batch_size`. The figures do not depend on it.
            validation_freq: validate after every so many epochs, or after those of a list, counted from 1.
            threads: of the CPU, at most so many; the results do not depend on it.
            encoded: whether x, y and the validation data went through `model.encoding`, which models of `nbdl train`
                have; else a warning says what to do.

        Returns:
            The history.

        Raises:
            ConfigError: an argument is out of range, or does not go with an iterable of batches.
            DataError: the data does not fit, with what to do.
            DivergenceError: a value was not finite; the weights are those before that step.
            DeviceError: the GPU has too little memory, or was lost; the weights are those of the last epoch's end.
        """
        from nbdl.training.fit import fit
        from nbdl.training.options import FitOptions

        if nb_epoch is not None and epochs is not None:
            raise ConfigError("nb_epoch is the older name of epochs; give only one of them")
        check_level(verbose)
        self._warn_of_plain_rows(encoded)
        options = FitOptions(
            batch_size, epochs if nb_epoch is None else nb_epoch, verbose, callbacks, validation_split, validation_data,
            shuffle, class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps,
            validation_batch_size, validation_freq, threads,
        )  # fmt: skip
        own = getattr(self.train_step, "__func__", None) is not Trainable.train_step
        return fit(self._job, self, x, y, options, self.train_step if own else None)

    # -- one batch ----------------------------------------------------------------------------------------

    @explained
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
        reset_metrics: bool = True,
        *,
        encoded: bool = False,
    ) -> Any:
        """One step of training on one batch: the bits of a step of `fit` on it.

        Args:
            x, y, sample_weight, class_weight: as for `fit`; "balanced" by the classes of this batch.
            return_dict: a dict by name rather than a list.
            reset_metrics: whether to start the figures from zero; else they are those of all batches since that was
                done, as in Keras 2.
            encoded: as for `fit`.

        Returns:
            This batch's [loss, metrics...] from before the update, or the loss alone if there are no metrics.

        Raises:
            DataError: the batch does not fit.
            DivergenceError: a value was not finite; the weights are those before the step.
        """
        from nbdl.training.one_batch import train_on_batch

        self._warn_of_plain_rows(encoded)

        figures = train_on_batch(self._job, x, y, sample_weight, class_weight, reset_metrics)
        return returned(figures, return_dict)

    @explained
    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
        reset_metrics: bool = True,
        *,
        encoded: bool = False,
    ) -> Any:
        """`evaluate` on one batch; arguments and result as for `train_on_batch`."""
        from nbdl.training.one_batch import test_on_batch

        self._warn_of_plain_rows(encoded)

        return returned(test_on_batch(self._job, x, y, sample_weight, reset_metrics), return_dict)

    def apply_gradients(self, gradients: Any, optimizer: Any = None) -> None:
        """Make a step with gradients of one's own; see `Optimizer.apply`.

        Args:
            optimizer: by default that of `compile`.
        """
        from nbdl.training.gradients import apply

        apply(self._job, self.optimizer if optimizer is None else optimizer, list(gradients))

    def reset_metrics(self) -> None:
        """Let the figures of `train_on_batch` and `test_on_batch` with reset_metrics=False start from zero."""
        from nbdl.training.one_batch import reset_metrics

        reset_metrics(self._job)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Make a step of training on a batch; return its figures by name.

        `fit` calls a `train_step` that a class has written anew, with each batch; the figures of an epoch are means
        over its rows. It does without this one: many steps run in compiled code, one after another.

        Args:
            data: (x, y), or (x, y, weights) where `fit` was given weights.
        """
        weights = data[2] if len(data) > 2 else None
        figures: dict[str, Any] = self.train_on_batch(data[0], data[1], weights, return_dict=True)
        return figures
