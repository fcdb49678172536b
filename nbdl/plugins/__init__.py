"""Who offers units: hooks, discovery, loading, registration and look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.plugins.commands import PluginCommand as PluginCommand
    from nbdl.plugins.commands import imported as imported
    from nbdl.plugins.description import Argument as Argument
    from nbdl.plugins.description import Description as Description
    from nbdl.plugins.description import describe as describe
    from nbdl.plugins.description import signature_of as signature_of
    from nbdl.plugins.docstrings import parse_docstring as parse_docstring
    from nbdl.plugins.scaffold import Request as Request

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.plugins.commands": "PluginCommand imported",
        "nbdl.plugins.description": "Argument Description describe signature_of",
        "nbdl.plugins.docstrings": "parse_docstring",
        "nbdl.plugins.scaffold": "Request",
    },
)
