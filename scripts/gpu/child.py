"""A section in a process of its own: python -m gpu.child SECTION OPTIONS"""

from __future__ import annotations

import importlib
import sys

from gpu.context import Context, Options
from gpu.sections import SECTIONS


def main() -> None:
    """Run it; what it raises ends the process with status 1."""
    name, options = sys.argv[1:3]
    module, _, function = SECTIONS[name].function.rpartition(".")
    context = Context(Options.from_json(options))
    context.keep()
    getattr(importlib.import_module(f"gpu.{module}"), function)(context)
    context.keep()


if __name__ == "__main__":
    main()
