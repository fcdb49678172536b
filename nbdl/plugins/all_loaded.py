"""Importing this module loads all plugins into the registry; see `load_once`."""

from __future__ import annotations

from nbdl.plugins.loading import load
from nbdl.plugins.registering import registrar

load(registrar)
