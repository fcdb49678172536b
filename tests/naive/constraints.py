"""Constraints: w after the projection of w."""

from __future__ import annotations

from nbdl.testing.truths import Truth

CONSTRAINTS: dict[str, Truth] = {}
