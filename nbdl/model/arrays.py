"""Arrays in files: the npz parts of a model's file, and weights that are set by name."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from nbdl.data.table import listed
from nbdl.errors import FileFormatError
from nbdl.storage.archive import Archive, Npz, npz

if TYPE_CHECKING:
    import numpy as np

    from nbdl.network.network import Network


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Arrays by name, as the bytes of an npz file."""
    import numpy as np

    buffer = io.BytesIO()
    # Numbers only. NumPy below 2.1 takes allow_pickle= for the name of an array.
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def arrays_of(archive: Archive, part: str) -> Npz:
    """The arrays in a part of a model's file."""
    return npz(archive.read(part), f"{archive.where}: {part}")


def set_by_name(network: Network, stored: Npz, where: str) -> None:
    """Set all weights, or none: names, shapes and types are looked at first."""
    from nbdl.engine.store import refuse_other_shape

    own = network.named_weights()
    expected = {name: weight.tensor.shape for name, weight in own.items()}
    missing, extra = sorted(set(expected) - set(stored.shapes)), sorted(set(stored.shapes) - set(expected))
    if missing or extra:
        raise FileFormatError(
            f"{where}: weights do not fit the model: "
            + "; ".join(text for text in (f"missing {listed(missing)}" * bool(missing),
                                          f"unknown {listed(extra)}" * bool(extra)) if text)
        )  # fmt: skip
    for name, shape in expected.items():
        refuse_other_shape(name, stored.shapes[name], shape, where)
    values = {name: floats_of(stored, name, where) for name in own}
    for name, weight in own.items():
        weight.value[...] = values[name]


def floats_of(stored: Npz, name: str, where: str) -> np.ndarray:
    """An array of a file, if it is of float32."""
    import numpy as np

    found = stored.read(name)
    if found.dtype != np.float32:
        raise FileFormatError(f"{where}: {name} holds {found.dtype}, not float32")
    return found
