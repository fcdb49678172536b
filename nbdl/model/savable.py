"""Savable: how a model becomes a config, a file or a copy, with Keras's names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from nbdl.errors import ConfigError
from nbdl.units.unit import explained, serialize

if TYPE_CHECKING:
    from nbdl.model.sequential import Sequential
    from nbdl.units.layer import Layer, Shape


class Savable:
    """Config, files and copies of a model."""

    name: str
    seed: int
    _layers: list[Layer]
    _input_shape: Shape | None

    def _entries(self) -> list[Layer]:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The model as plain data, without weights."""
        entries = self._entries()
        distinct = list({id(layer): layer for layer in entries}.values())
        order = [next(i for i, layer in enumerate(distinct) if layer is one) for one in entries]
        config: dict[str, Any] = {"name": self.name, "seed": self.seed, "layers": [serialize(one) for one in distinct]}
        if order != list(range(len(distinct))):
            config["order"] = order
        if self._input_shape is not None:
            config["input_shape"] = list(self._input_shape)
        return config

    @classmethod
    @explained
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A model, with initial weights, from what `get_config` returned."""
        from nbdl.model.model_file import filled_from_config

        return cast("Self", filled_from_config(cast("type[Sequential]", cls), config))

    def to_json(self, **options: Any) -> str:
        """The model as JSON, without weights."""
        import json

        return json.dumps(self.get_config(), **options)

    @explained
    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the whole model to one file: config, weights, and what going on with training needs.

        A subclass of Sequential comes back as the chain of its layers; pickle and copies keep the class.
        """
        from nbdl.model.model_file import save_model

        save_model(self._model(), path, overwrite)

    @explained
    def save_weights(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the weights alone to an npz file."""
        from nbdl.model.model_file import save_weights

        if not overwrite and Path(path).exists():
            raise ConfigError(f"{path} exists; pass overwrite=True to replace it")
        save_weights(self._model(), path)

    @explained
    def load_weights(self, path: str | Path) -> None:
        """Read weights, by name, that `save_weights` wrote, or those of a saved model; all of them or none."""
        from nbdl.model.model_file import load_weights

        load_weights(self._model(), path)

    def export(self, path: str | Path, format: str | None = None, **options: Any) -> None:
        """Write a snapshot of the model in another format: `model.export("net.c")`.

        Args:
            path: a file; an earlier export is replaced, any other file is not.
            format: the name of an exporter; by default the one for the path's suffix.
            options: what the exporter takes: for C `name`, of the function, and `header`, whether to write a .h too.
        """
        from nbdl.model.export import export_model

        export_model(self._model(), path, format, **options)

    def __copy__(self) -> Sequential:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Sequential:
        from nbdl.model.copies import copied

        return copied(self._model(), memo)

    def __reduce__(self) -> Any:
        from nbdl.model.copies import reduced

        return reduced(self._model())

    def _model(self) -> Sequential:
        return cast("Sequential", self)
