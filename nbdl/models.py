"""Models, under Keras's path."""

from nbdl.model import Sequential as Sequential


