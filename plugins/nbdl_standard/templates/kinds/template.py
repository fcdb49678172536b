"""my-unit: a kind of package for `nbdl plugins new`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl

if TYPE_CHECKING:
    from nbdl.plugins import Request


# Your files, by name: here those of an activation, and one more. `request.filled(text)` puts the names in.
def write(request: Request) -> dict[str, str]:
    """Return the files of a package by name.

    Args:
        request: what the package is called, and what it offers.
    """
    from nbdl.units.registry import registry

    files: dict[str, str] = registry.get("templates", "activation").target(request)
    return {**files, "CHANGELOG.md": f"# Changes\n\n## 0.1.0\n\nThe first version of {request.distribution}.\n"}


@hookimpl
def register_templates(register: Any) -> None:
    # `makes` is what such a package offers.
    register("my-unit", write, description="an activation with a list of changes", makes="activation")
