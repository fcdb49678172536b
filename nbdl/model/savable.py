"""Savable: how a model becomes a config, a file or a copy, with Keras's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from nbdl.errors import ConfigError
from nbdl.model.owner import Owner, around
from nbdl.network.chain import Chain
from nbdl.network.network import Network
from nbdl.units.keras_names import explained


class Savable(Owner):
    """Config, files and copies of a model."""

    @classmethod
    @explained
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A model, with initial weights, from what `get_config` returned."""
        from nbdl.model.configs import from_config

        def made(network: Network) -> Any:
            if not isinstance(network, Chain):
                return around(cls, network)
            chain = cls(name=network.name, seed=network.seed)  # type: ignore[call-arg]  # a Sequential
            Owner.__init__(chain, network)
            return chain

        model: Self = from_config(config, made)
        return model

    def to_json(self, **options: Any) -> str:
        """The model as JSON, without weights."""
        import json

        return json.dumps(self.get_config(), **options)

    @explained
    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the whole model to one file: config, weights, and what going on with training needs.

        A subclass comes back as a Sequential or a Model; pickle and copies keep the class.
        """
        from nbdl.model.write import save_model

        save_model(self, path, overwrite)

    @explained
    def save_weights(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the weights alone to an npz file."""
        from nbdl.model.write import save_weights

        if not overwrite and Path(path).exists():
            raise ConfigError(f"{path} exists; pass overwrite=True to replace it")
        save_weights(self, path)

    @explained
    def load_weights(self, path: str | Path) -> None:
        """Read weights, by name, that `save_weights` wrote, or those of a saved model; all of them or none."""
        from nbdl.model.read import load_weights

        load_weights(self, path)

    def export(self, path: str | Path, format: str | None = None, **options: Any) -> None:
        """Write a snapshot of the model in another format: `model.export("net.c")`.

        Args:
            path: a file; an earlier export is replaced, any other file is not.
            format: the name of an exporter; by default the one for the path's suffix.
            options: what the exporter takes: for C `name`, of the function, and `header`, whether to write a .h too.
        """
        from nbdl.model.export import export_model

        export_model(self, path, format, **options)

    def __copy__(self) -> Self:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from nbdl.model.copies import copied

        return copied(self, memo)

    def __reduce__(self) -> Any:
        from nbdl.model.copies import reduced

        return reduced(self)
