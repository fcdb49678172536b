"""Importing this module loads all plugins into the registry.

The import system's lock makes other threads wait until all are there. Where two threads would wait for each other, one
with this module and one with a plugin's that looks something up while it is imported, the import system lets one go on;
a lock of our own would hold both for ever.
"""

from __future__ import annotations

from nbdl.plugins.loading import load
from nbdl.plugins.registry import registry

load(registry)
