"""Where a network runs: the device that a name stands for, and whether the network can run there.

Both are said when a device is chosen, not in the middle of a fit. Nothing of CUDA is imported for the CPU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nbdl.errors import ConfigError, DeviceError, did_you_mean, warn

if TYPE_CHECKING:
    from nbdl.network.network import Network
    from nbdl.network.setup import Setup

DEVICES = ("cpu", "cuda", "auto")
PRECISIONS = ("float32", "tf32")


class DeviceWarning(UserWarning):
    """The CPU runs what was meant for a GPU."""


@dataclass(frozen=True)
class DeviceChoice:
    """The device and the precision that a network runs with.

    Attributes:
        device: "cpu", "cuda" (the first GPU), "cuda:1" and so on.
        precision: "float32", or "tf32" for a GPU's large matrix products.
        auto: whether the CPU will do where the device cannot run the network.
    """

    device: str = "cpu"
    precision: str = "float32"
    auto: bool = False

    def moved(self, name: str) -> DeviceChoice:
        """The same on another device; see `resolve`."""
        return replace(self, device=resolve(name), auto=name == "auto")

    def rounded(self, precision: str) -> DeviceChoice:
        """The same with another precision.

        Raises:
            ConfigError: there is no such precision.
        """
        if precision not in PRECISIONS:
            hint = did_you_mean(str(precision), PRECISIONS)
            raise ConfigError(f"precision is 'float32' or 'tf32', got {precision!r}.{hint}")
        return replace(self, precision=precision)

    def suited(self, network: Network, setup: Setup | None) -> DeviceChoice:
        """This choice if the network can run so, else the CPU where "auto" was asked for, with a warning.

        Raises:
            ConfigError: the device cannot run a layer, or lacks what the precision needs.
        """
        choice = self
        if self.device != "cpu" and not _plain():
            try:
                _check_bodies(network, setup)
            except ConfigError as error:
                if not self.auto:
                    raise
                warn(f"device 'auto' is the CPU: {error}", DeviceWarning)
                choice = replace(self, device="cpu", auto=False)
        if choice.precision == "tf32" and not _plain():
            if choice.device == "cpu":
                warn("precision='tf32' has no effect on the CPU, which computes in float32", DeviceWarning)
            elif not _cublas():
                raise ConfigError("precision='tf32' needs cuBLAS, and none was found: pip install 'nbdl[cublas]'")
        return choice


def checked(name: str) -> str:
    """A device's name in the spelling that is kept, "cuda:0" as "cuda".

    Raises:
        ConfigError: there is no such device.
    """
    if isinstance(name, str) and (name in DEVICES or re.fullmatch(r"cuda:(0|[1-9]\d{0,2})", name)):
        return name.removesuffix(":0")
    hint = did_you_mean("cuda" if str(name).lower().startswith("gpu") else str(name), DEVICES)
    raise ConfigError(f"device is 'cpu', 'cuda', 'cuda:1' and so on, or 'auto', got {name!r}.{hint}")


def resolve(name: str) -> str:
    """The device that a name stands for: "cpu", "cuda" (the first GPU) or "cuda:1" and so on.

    Args:
        name: one of these, or "auto": "cuda" where that can be used, else, with a warning that says why, "cpu".

    Raises:
        ConfigError: there is no such device.
        DeviceError: CUDA cannot be used; the message says what is missing and how to get it.
    """
    device = checked(name)
    if device == "cpu":
        return device
    if _plain():  # needs no GPU
        return "cpu" if device == "auto" else device
    from nbdl.engine.cuda.availability import problem
    from nbdl.engine.executor import device_number

    why = problem(device_number(device))
    if not why:
        return "cuda" if device == "auto" else device
    if device != "auto":
        raise DeviceError(f"device {device!r} cannot be used: {why}")
    warn(f"device 'auto' is the CPU: {why}", DeviceWarning)
    return "cpu"


def stand_in(device: str) -> str:
    """What runs here instead of a GPU, or an empty string."""
    if device == "cpu":
        return ""
    if _plain():
        return "plain Python (NUMBA_DISABLE_JIT)"
    from nbdl.engine.cuda.availability import simulated

    return "Numba's simulator (NUMBA_ENABLE_CUDASIM)" if simulated() else ""


def _plain() -> bool:
    from nbdl.engine.executor import host_backend

    return host_backend() == "reference"


def _check_bodies(network: Network, setup: Setup | None) -> None:
    """Refuse a hand-written kernel that has no CUDA body.

    The programs are recorded again at the first run, for a layer may be changed until then.
    """
    if not network.built:
        return
    from nbdl.engine.cuda.body_text import check_body
    from nbdl.network.record import record

    for mode in ("predict",) if setup is None else ("train", "predict"):
        try:
            operations = record(network, setup, mode).operations
        except Exception:  # of a layer or a loss, perhaps as the net is not yet whole; a run raises it on any device
            return
        for operation in operations:
            if operation.kind == "kernel":
                check_body(operation)


def _cublas() -> str:
    """The version of cuBLAS, or an empty string."""
    from nbdl.engine import cuda
    from nbdl.engine.cuda import availability, cublas

    return str(cuda.open_runtime(0).cublas) if availability.simulated() else cublas.found()
