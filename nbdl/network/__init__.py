"""Layers joined: their weights, the programs recorded from them, and the device that runs them."""
