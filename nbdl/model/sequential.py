"""Sequential: layers one after another, with Keras's methods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nbdl.errors import ConfigError, counted
from nbdl.model.base import Model
from nbdl.model.owner import Owner, seed_of
from nbdl.network.chain import Chain
from nbdl.units.keras_names import explained
from nbdl.units.layer import Layer
from nbdl.units.overrides import refuse_uncalled


class Sequential(Model):
    """Layers one after another.

    Args:
        layers: the layers, if they are not added one by one.
        trainable: False freezes all layers.
        name: shown in `summary`.
        seed: an integer from which all randomness of this model follows. By default one is drawn, from
            `set_random_seed`'s stream if that was called; `model.seed` tells it.

    >>> from nbdl.layers import Dense
    >>> model = Sequential([Dense(500, input_dim=784, activation="sigmoid"), Dense(10)])
    >>> model.count_params()
    397510
    """

    @explained
    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
        seed: int | None = None,
    ) -> None:
        Owner.__init__(self, Chain(name or "sequential", seed_of(seed)))
        if isinstance(layers, Layer):
            raise ConfigError(f"Sequential takes a list of layers: Sequential([{type(layers).__name__}(...)])")
        try:
            for layer in layers or []:
                self.add(layer)
        except BaseException:
            self._chain.release()  # there will be no such model
            raise
        if not trainable:
            self.trainable = False

    @property
    def _chain(self) -> Chain:
        network = self._job.network
        assert isinstance(network, Chain)
        return network

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_uncalled("models", cls, Sequential)

    @explained
    def add(self, layer: Layer) -> None:
        """Append a layer; it gets a name unless it has one."""
        self._chain.add(layer)

    @explained
    def pop(self) -> Layer:
        """Remove the last layer and return it; its weights stay with it."""
        return self._chain.pop()

    def config_within(self, seen: dict[int, int]) -> dict[str, Any]:
        from nbdl.model.graph_config import written

        network = self._chain
        entries = network.entries
        distinct = list({id(layer): layer for layer in entries}.values())
        order = [next(i for i, layer in enumerate(distinct) if layer is one) for one in entries]
        layers = [written(one, one.name, seen) for one in distinct]
        config: dict[str, Any] = {"name": self.name, "seed": self.seed, "layers": layers}
        if order != list(range(len(distinct))):
            config["order"] = order
        if network.built_shape is not None:
            config["input_shape"] = list(network.built_shape)
        return config

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of the outputs for inputs of a shape; both with the rows, which are None.

        Raises:
            ConfigError: a layer does not take such inputs.
        """
        return self._chain.compute_output_shape(input_shape)

    @explained
    def build(self, input_shape: Any = None) -> None:
        """Create the weights; layers that had some keep their values.

        Args:
            input_shape: the shape of one row; a leading None (the rows) is dropped. Not needed where the first
                layer has `input_shape`, or before `fit`, which takes it from the data.

        Raises:
            ConfigError: there are no layers, no input shape is known, a layer does not fit the one before it, or the
                device cannot run one.
        """
        self._chain.build(input_shape)

    def __repr__(self) -> str:
        """Name, layers and number of weights: short, for it is what a notebook shows below a cell."""
        layers = ", ".join(layer.name for layer in self.layers) or "no layers"
        size = f", {counted(self.count_params(), 'weight')}" if self.built and self.layers else ""
        return f"<Sequential {self.name!r}: {layers}{size}>"
