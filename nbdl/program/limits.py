"""Limits of programs: the CPU's tables have room for no more."""

from __future__ import annotations

INPUTS = 32  # of a batch
OUTPUTS = 8  # of an operation: each has an alias scope of its own

# A descriptor of an operation: its first words, and how many there are. Operands take two words each.
OPERANDS_START = 3
DESCRIPTOR_WORDS = 72  # 34 operands of a map; an odd number of cache lines, so that descriptors do not share sets
