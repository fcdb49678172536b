"""Model: what users hold, with Keras's methods."""

from __future__ import annotations

import math
from typing import Any

from nbdl.errors import ConfigError, counted, did_you_mean
from nbdl.model.inspectable import Inspectable
from nbdl.model.owner import seed_of
from nbdl.model.trainable import Trainable
from nbdl.network.chain import Chain
from nbdl.network.graph import Graph
from nbdl.units.keras_names import explained
from nbdl.units.layer import Layer
from nbdl.units.overrides import refuse_uncalled
from nbdl.units.symbol import Call, Symbol, is_symbolic, symbols_in

FEW_NUMBERS = 4096  # in a call of the model; more rows are worth threads


class Model(Trainable, Inspectable):
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
