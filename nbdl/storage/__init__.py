"""Files on disk: written whole or not at all, and read without trust in their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.storage.archive import DEFLATE_RATIO as DEFLATE_RATIO
    from nbdl.storage.archive import Archive as Archive
    from nbdl.storage.archive import Npz as Npz
    from nbdl.storage.archive import array as array
    from nbdl.storage.archive import header as header
    from nbdl.storage.archive import refusing as refusing
    from nbdl.storage.atomic import sweep as sweep
    from nbdl.storage.atomic import write_atomically as write_atomically
    from nbdl.storage.atomic import write_own as write_own
    from nbdl.storage.outputs import as_path as as_path
    from nbdl.storage.outputs import check_file as check_file
    from nbdl.storage.outputs import check_folder as check_folder
    from nbdl.storage.outputs import is_model as is_model

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.storage.archive": "Archive DEFLATE_RATIO Npz array header refusing",
        "nbdl.storage.atomic": "sweep write_atomically write_own",
        "nbdl.storage.outputs": "as_path check_file check_folder is_model",
    },
)
