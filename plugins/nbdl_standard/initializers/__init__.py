"""Initializers, one a file."""
