"""Data on its way to a model: tables, arrays, their encoding, and the choice of a reader."""
