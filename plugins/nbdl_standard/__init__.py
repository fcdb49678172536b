"""The standard units: an ordinary plugin package, found by its entry point like any other."""
