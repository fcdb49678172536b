"""Units of a third party: every module of this package is read for hooks."""
