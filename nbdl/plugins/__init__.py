"""Who offers units: hooks, discovery, loading, registration and look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.plugins.scaffold import Request as Request

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.plugins.scaffold": "Request",
    },
)
