"""Importing this module loads all plugins into the registry; see `load_once`."""

from __future__ import annotations

from nbdl.plugins.load import load
from nbdl.plugins.registrar import registrar

load(registrar)
