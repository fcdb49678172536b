# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl import Schedule

def get(given: Any, where: str = ...) -> Schedule: ...
