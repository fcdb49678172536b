"""Arrays of the host with a copy on the device: weights, and what an optimizer keeps."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from nbdl.engine.cuda.kernel_text import Pointer
from nbdl.engine.store import Block, Floats


class Mirror:
    """An array of the host and its copy on the device; whoever changed it last is followed by the other.

    The host's array is compared with what it was when they were last the same, so it may be changed in any way, also
    through NumPy views.
    """

    def __init__(self, runtime: Any, host: Floats) -> None:
        self.runtime, self.host = runtime, host
        self.block = runtime.allocate(host.nbytes)
        self.seen = runtime.pinned(host.nbytes).view(np.float32)  # where both were last the same
        self.known = False  # whether they ever were
        self.changed = False  # by the device, since the host's array was last written

    def push(self) -> None:
        """Follow the host."""
        if not (self.known and np.array_equal(self.host.view(np.int32), self.seen.view(np.int32))):
            self.seen[:] = self.host
            self.runtime.upload(self.block, 0, self.seen)
            self.known, self.changed = True, False

    def pull(self) -> None:
        """Follow the device. The host's array is written once all has arrived: a lost device spoils nothing."""
        if self.changed:
            self.known = False  # should it not arrive whole
            self.runtime.download(self.block, 0, self.seen)
            self.host[:] = self.seen
            self.known, self.changed = True, False

    def pointer(self, offset: int, size: int) -> Pointer:
        """A part as a kernel's argument."""
        return Pointer(self.block, offset, size)


_blocks: weakref.WeakKeyDictionary[Block, tuple[Any, Mirror]] = weakref.WeakKeyDictionary()


def of_block(runtime: Any, block: Block) -> Mirror:
    """A block of weights on a device: one copy for all executors of all models that read it."""
    with runtime.lock:
        found = _blocks.get(block)
        if found is None or found[0] is not runtime:
            if found is not None and not found[0].lost:
                found[1].pull()  # the model moves from one device to another
            found = _blocks[block] = (runtime, Mirror(runtime, block.data))
        return found[1]
