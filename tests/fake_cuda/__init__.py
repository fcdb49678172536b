"""A stand-in for `cuda.core` over host memory: the real one's rules, kept where a GPU would keep them.

Device memory is host memory at real addresses, full of garbage when it is new. Streams are queues that run no sooner
than somebody waits for them, or at once, as a test chooses, so that a missing wait gives wrong data. Copies read when
they run. Kernels run in Numba's simulator. Contexts belong to threads. What a GPU would punish with wrong results or a
dead process (memory used after it was freed, an allocation within a capture, a closed graph) raises `Misuse` here.
"""

from fake_cuda.machine import CudaError, Machine, Misuse, current, install

__all__ = ["CudaError", "Machine", "Misuse", "current", "install"]
