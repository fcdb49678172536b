"""Predictive: predictions of a model and how good they are, in Python; predictions in compiled code."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, EncodedRowsWarning, counted, warn
from nbdl.model.compile import Compilable
from nbdl.model.savable import Savable
from nbdl.training.progress import check_level, tell
from nbdl.units.keras_names import explained

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.nets.net import Net

PLAIN_ROWS = (
    "this model was trained on encoded rows, as `nbdl train` does: its inputs are taken as encoded already, and its "
    "outputs are encoded. For plain rows: x = model.encoding.encode(rows); "
    "model.encoding.decode(model.predict(x, encoded=True)). encoded=True says that rows are encoded"
)


class Predictive(Compilable, Savable):
    """Predictions of a model, and figures of how good they are."""

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
        return returned(figures, return_dict)

    # -- compiled code ----------------------------------------------------------------------------------

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


def returned(figures: dict[str, Any], as_dict: bool) -> Any:
    """Return figures as Keras returns them."""
    values = list(figures.values())
    return figures if as_dict else values if len(values) > 1 else values[0]
