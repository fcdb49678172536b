"""Datasets: one each, by name."""
