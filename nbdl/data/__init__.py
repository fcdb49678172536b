"""Data on its way to a model: tables, arrays, their encoding, and the choice of a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.data.arrays import Arrays as Arrays
    from nbdl.data.cells import to_number as to_number
    from nbdl.data.checks import as_array as as_array
    from nbdl.data.columns import check_names as check_names
    from nbdl.data.columns import check_order as check_order
    from nbdl.data.columns import names_of as names_of
    from nbdl.data.encoding import Encoding as Encoding
    from nbdl.data.rounding import CLOSE as CLOSE
    from nbdl.data.source import path_only as path_only
    from nbdl.data.table import Table as Table
    from nbdl.data.table import listed as listed

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.data.arrays": "Arrays",
        "nbdl.data.cells": "to_number",
        "nbdl.data.checks": "as_array",
        "nbdl.data.columns": "check_names check_order names_of",
        "nbdl.data.encoding": "Encoding",
        "nbdl.data.rounding": "CLOSE",
        "nbdl.data.source": "path_only",
        "nbdl.data.table": "Table listed",
    },
)
