"""CUDA's errors, told to people: what happened, and what to do."""

from __future__ import annotations

import re

from nbdl.errors import DeviceError, DeviceLostError

LOST = {
    "CUDA_ERROR_ASSERT": "an assertion within a kernel failed",
    "CUDA_ERROR_CONTAINED": "a memory error that the card could contain ended the kernels that ran",
    "CUDA_ERROR_CONTEXT_IS_DESTROYED": "another part of this process has reset the device",
    "CUDA_ERROR_DEINITIALIZED": "the driver has been shut down",
    "CUDA_ERROR_DEVICE_UNAVAILABLE": "the device is not available now",
    "CUDA_ERROR_ECC_UNCORRECTABLE": "the card's memory had an error that could not be corrected",
    "CUDA_ERROR_EXTERNAL_DEVICE": "a device that this one works with failed",
    "CUDA_ERROR_HARDWARE_STACK_ERROR": "a kernel's stack was corrupted",
    "CUDA_ERROR_ILLEGAL_ADDRESS": "a kernel reached for memory that is not its own",
    "CUDA_ERROR_ILLEGAL_INSTRUCTION": "a kernel met an illegal instruction",
    "CUDA_ERROR_INVALID_ADDRESS_SPACE": "a kernel reached into a wrong kind of memory",
    "CUDA_ERROR_INVALID_PC": "a kernel lost its place in its code",
    "CUDA_ERROR_LAUNCH_FAILED": "a kernel failed while it ran",
    "CUDA_ERROR_LAUNCH_TIMEOUT": "a kernel ran longer than the display's watchdog allows",
    "CUDA_ERROR_MISALIGNED_ADDRESS": "a kernel reached for memory at a misaligned address",
    "CUDA_ERROR_NO_DEVICE": "the device is gone",
    "CUDA_ERROR_NVLINK_UNCORRECTABLE": "the link between cards had an error that could not be corrected",
    "CUDA_ERROR_SYSTEM_NOT_READY": "the system's drivers have not started yet",
    "CUDA_ERROR_UNKNOWN": "the driver does not know why",
}
"""Errors after which every further call of the process fails."""

OLD_DRIVER = (
    "The driver is older than the CUDA toolkit that compiled this kernel. Update the driver (`nvidia-smi` tells which "
    "CUDA it knows), or install that CUDA's compiler: pip install 'cuda-toolkit[nvvm,nvrtc]==13.0.*' for CUDA 13.0."
)
REMEDIES = {
    "CUDA_ERROR_OUT_OF_MEMORY": "Take a smaller batch or a smaller model, end other programs on this GPU, or use "
    'device="cpu".',
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": OLD_DRIVER,
    "CUDA_ERROR_INVALID_PTX": f"The driver cannot read the compiled kernel. {OLD_DRIVER}",
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "The kernel was compiled for another kind of GPU.",
    "CUDA_ERROR_JIT_COMPILER_NOT_FOUND": "The driver's own compiler (libnvidia-ptxjitcompiler) is missing. In a "
    "container, NVIDIA_DRIVER_CAPABILITIES=compute,utility brings it.",
    "CUDA_ERROR_NOT_INITIALIZED": "CUDA does not survive a fork: start processes by multiprocessing's 'spawn'.",
    "CUDA_ERROR_INVALID_DEVICE": "There is no such device.",
    "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES": "The kernel takes more registers or shared memory than this GPU has.",
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": OLD_DRIVER,
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "The driver's kernel module and its library differ: restart the machine.",
}
SURVIVES = "The weights in the host's memory are those of the last pull; save the model, then start a new process."


def explained(error: BaseException, name: str) -> DeviceError | None:
    """An error of `cuda.core` or the driver as one of nbdl's, or None if it is another error.

    Args:
        name: of the device.
    """
    found = re.search(r"\bCUDA_ERROR_\w+", str(error))
    if found is None or isinstance(error, DeviceError):
        return None
    code = found[0]
    if code in LOST:
        return DeviceLostError(f"{name} is lost: {LOST[code]} ({code}). {SURVIVES}")
    detail = "" if str(error) == code else f"\n{error}"
    return DeviceError(f"{name} refused: {code}. {REMEDIES.get(code, '')}".rstrip() + detail)


def found_error(code: object) -> RuntimeError | None:
    """The error of a call to the driver, which `explained` understands, or None."""
    return RuntimeError(getattr(code, "name", f"CUDA_ERROR_UNKNOWN {code}")) if int(code) else None  # type: ignore[call-overload]
