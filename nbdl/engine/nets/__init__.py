"""Trained nets inside compiled code: for `@njit` functions, for C, and as plain Python."""
