"""Programs as C source."""
