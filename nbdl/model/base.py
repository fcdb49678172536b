"""Model: what users hold, with Keras's methods."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, EncodedRowsWarning, counted, did_you_mean, warn
from nbdl.model.compile import Compilable
from nbdl.model.inspectable import Inspectable
from nbdl.model.owner import seed_of
from nbdl.model.savable import Savable
from nbdl.network.chain import Chain
from nbdl.network.graph import Graph
from nbdl.training.progress import check_level, tell
from nbdl.units.keras_names import explained
from nbdl.units.layer import Layer
from nbdl.units.overrides import refuse_uncalled
from nbdl.units.symbol import Call, Symbol, is_symbolic, symbols_in

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.nets.net import Net
    from nbdl.training.callbacks import History
    from nbdl.units.callback import Callback


FEW_NUMBERS = 4096  # in a call of the model; more rows are worth threads
PLAIN_ROWS = (
    "this model was trained on encoded rows, as `nbdl train` does: its inputs are taken as encoded already, and its "
    "outputs are encoded. For plain rows: x = model.encoding.encode(rows); "
    "model.encoding.decode(model.predict(x, encoded=True)). encoded=True says that rows are encoded"
)


class Model(Compilable, Savable, Inspectable):
    """A graph of layers that can be trained and saved, and that predicts.

    Layers and models are called on symbols, from `Input` on; `Sequential` is the chain.

    Args:
        inputs, outputs: symbols, or lists, tuples or dicts of them.
        name: shown in `summary`.
        trainable: False freezes all layers.
        seed: as for `Sequential`.

    >>> from nbdl.layers import Add, Dense, Input
    >>> x = Input(shape=(8,))
    >>> h = Dense(8, activation="relu")(x)
    >>> Model(x, Dense(1)(Add()([x, h]))).count_params()
    81

    x is an array (anything that `np.asarray` takes), or an iterable of batches: (x, y) or (x, y, weights), of as many
    rows as they like. A generator gives its batches once. What can be iterated over again (a list of batches, a PyTorch
    DataLoader, Keras's Sequence or PyDataset with `__getitem__` and `__len__`) is, in every epoch.

    Arrays in files are trained on where they lie: of `np.memmap` batches are gathered from the file itself, of h5py's
    and zarr's they are read a slice at a time. `shuffle="batch"` reads a file batch by batch rather than row by row.
    """

    @explained
    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        if inputs is None or outputs is None:
            raise ConfigError("Model takes the symbols of its inputs and outputs: Model(inputs, outputs)")
        symbols = [symbols_in(value, f"Model's {what}") for value, what in ((inputs, "inputs"), (outputs, "outputs"))]
        super().__init__(Graph(name or "model", seed_of(seed), *symbols))
        self._job.network.build()
        if not trainable:
            self.trainable = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_uncalled("models", cls, Model)

    @explained
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by index."""
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ConfigError(f"there is no layer {index}: the model has {len(layers)} layers")
            return layers[index]
        found = next((layer for layer in layers if layer.name == name), None)
        if found is None:
            known = [layer.name for layer in layers]
            hint = did_you_mean(str(name), known)
            raise ConfigError(f"no layer is called {name!r}.{hint} Layers: {', '.join(known)}")
        return found

    def build(self, input_shape: Any = None) -> None:
        """Create the weights that do not exist yet.

        Args:
            input_shape: not needed: the inputs tell it.
        """
        self._job.network.build()

    def add_loss(self, loss: Any) -> None:
        """Add to the loss the mean of a symbol over the rows; of a row with several numbers, of their sum.

        Args:
            loss: a symbol that follows from the inputs, or a list of them.

        Raises:
            ConfigError: it is no such symbol, or the model is a Sequential.
        """
        network = self._job.network
        if not isinstance(network, Graph):
            raise ConfigError(
                "add_loss takes symbols of a Model(inputs, outputs): a Sequential has none to choose from"
            )
        for symbol in symbols_in(loss, "add_loss"):
            network.add_penalty(symbol)

    def config_within(self, seen: dict[int, int]) -> dict[str, Any]:
        from nbdl.model.graph_config import graph_config

        return graph_config(self, seen)

    def __repr__(self) -> str:
        """Name, layers and number of weights: short, for it is what a notebook shows below a cell."""
        layers = counted(len(self.layers), "layer")
        return f"<{type(self).__name__} {self.name!r}: {layers}, {counted(self.count_params(), 'weight')}>"

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
        return fit(self._job, self, x, y, options)

    @explained
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: bool | int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        threads: int | None = None,
        *,
        encoded: bool = False,
    ) -> Any:
        """The loss and metrics on data, computed on the model's device.

        Args:
            x, y: as for `fit`.
            batch_size: rows of a step, for `steps`. The engine takes batches that suit the machine, and the figures do
                not depend on it.
            verbose: 1 or 2 print the figures, a line; 0 and "auto" nothing.
            steps: so many batches, from the first; default all.
            callbacks: their `on_test_begin` and `on_test_end` are called, and `on_test_batch_*` where overridden.
            return_dict: a dict by name rather than a list.
            encoded: as for `fit`.

        Returns:
            [loss, metrics...], or the loss alone if there are no metrics.
        """
        check_level(verbose)
        self._warn_of_plain_rows(encoded)
        from nbdl.training.evaluate import evaluate

        began = time.perf_counter()
        figures = evaluate(self._job, self, x, y, sample_weight, batch_size, steps, callbacks, threads)
        tell(verbose, "Evaluated", began, figures)
        return _returned(figures, return_dict)

    @explained
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: bool | int | str = 0,
        steps: int | None = None,
        callbacks: Any = None,
        threads: int | None = None,
        *,
        encoded: bool = False,
    ) -> Any:
        """Predictions, rows × outputs, computed on the model's device; may be called from many threads at once.

        Args:
            x: inputs, or an iterable of batches, of whose tuples the first part is taken.
            batch_size, steps, callbacks: as for `evaluate`, with `on_predict_*`.
            verbose: 1 or 2 print a line when it is done.
            encoded: as for `fit`. The predictions are encoded too: `model.encoding.decode` makes answers of them.
        """
        check_level(verbose)
        self._warn_of_plain_rows(encoded)
        from nbdl.training.predict import predict

        began = time.perf_counter()
        predictions = predict(self._job, self, x, batch_size, steps, callbacks, threads)
        tell(verbose, f"Predicted {counted(len(predictions), 'row')}", began)
        return predictions

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
        return _returned(figures, return_dict)

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

        return _returned(test_on_batch(self._job, x, y, sample_weight, reset_metrics), return_dict)

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

    def predict_on_batch(self, x: Any, *, encoded: bool = False) -> Any:
        """`predict` on one batch."""
        return self.predict(x, encoded=encoded)

    def predict_proba(
        self, x: Any, batch_size: int | None = None, verbose: bool | int | str = 0, *, encoded: bool = False
    ) -> Any:
        """The same as `predict`, under its Keras 1 name."""
        return self.predict(x, encoded=encoded)

    def predict_classes(
        self, x: Any, batch_size: int | None = None, verbose: bool | int | str = 0, *, encoded: bool = False
    ) -> np.ndarray:
        """The column of the largest output; of a single output, whether it is above `loss.boundary`, 0.5 or 0."""
        import numpy as np

        predictions = self.predict(x, encoded=encoded)
        if isinstance(predictions, list):
            raise ConfigError("predict_classes is for a model with one output; predict gives those of each")
        if predictions.shape[-1] > 1:
            return np.asarray(predictions.argmax(axis=-1))
        loss = self.loss
        return np.asarray(predictions > (0.5 if loss is None else loss.boundary), np.int32)

    # -- few rows, and compiled code ----------------------------------------------------------------------

    def __call__(self, x: Any, training: bool | None = None, mask: None = None, *, encoded: bool = False) -> Any:
        """Predictions for a few rows, on the CPU, without a look at the numbers: NaN gives NaN.

        `predict` refuses what is no number of float32, and integers that an Embedding has no row for: here these give
        NaN.

        A single row without the leading axis gives a single row. `encoded` is as for `fit`.

        Raises:
            ConfigError: training or a mask is asked for, which Keras has here.
        """
        if not hasattr(x, "itemsize") and is_symbolic(x):
            symbols: Any = self._applied(symbols_in(x, f"model {self.name!r} was called"))
            return symbols
        if training or mask is not None:
            raise ConfigError(
                "a model is called to predict: training=True and masks are not there; fit and train_on_batch train, "
                "with dropout and the like"
            )
        job = self._job
        if job.network.encoding is not None or encoded is not False:
            self._warn_of_plain_rows(encoded)
        net = job.programs.net_of_rows
        if net is None:
            from nbdl.network.executors import net_of_rows

            net = net_of_rows(job)
        shape: tuple[int, ...] = () if hasattr(x, "columns") else getattr(x, "shape", ())  # names are looked at
        if net and 0 < len(shape) <= 2 and shape[-1] == net.inputs and math.prod(shape) <= FEW_NUMBERS:
            return net(x)
        from nbdl.training.predict import call

        return call(self._job, x)

    def _applied(self, symbols: list[Symbol]) -> Any:
        """Serve as a layer: the symbols of the outputs for these of the inputs."""
        network = self._job.network
        shapes = [symbol.row_shape for symbol in symbols]
        if isinstance(network, Chain) and network.input_shapes is None and len(shapes) == 1:
            network.build(shapes[0])
        if list(network.known_input_shapes()) != shapes:
            raise ConfigError(
                f"model {self.name!r} takes inputs of shape {network.input_shape}, got "
                f"{shapes[0] if len(shapes) == 1 else shapes}"
            )
        found = Call(self, tuple(symbols)).give(network.output_shapes)
        return found[0] if len(found) == 1 else list(found)

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
        from nbdl.network.executors import net_of
        from nbdl.training.passes import run_rows

        self._warn_of_plain_rows(encoded)
        found = net_of(self._job, derivatives, functools.partial(run_rows, self._job))
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
        from nbdl.engine.executor import host_backend

        if host_backend() == "reference":
            raise ConfigError("as_cfunc compiles, and NUMBA_DISABLE_JIT=1 says not to")
        from nbdl.engine.nets.cfunc import as_cfunc

        self._warn_of_plain_rows(encoded)
        return as_cfunc(self.as_njit(encoded=True), form)

    def _warn_of_plain_rows(self, encoded: bool) -> None:
        """Warn where rows may be plain ones and the model was trained on encoded ones."""
        encoding = self.encoding
        if encoded is True or (encoded is False and encoding is None):
            return
        if encoded is not False:
            raise ConfigError(f"encoded is True or False, got {encoded!r}")
        assert encoding is not None
        if not encoding.neutral:
            warn(PLAIN_ROWS, EncodedRowsWarning)


def _returned(figures: dict[str, Any], as_dict: bool) -> Any:
    """Figures as Keras returns them."""
    values = list(figures.values())
    return figures if as_dict else values if len(values) > 1 else values[0]
