"""Parity: the parts of parity.py."""
