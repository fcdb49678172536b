"""The path under which Keras 1 kept its layers."""

from nbdl.namespace import namespace

__getattr__, __dir__ = namespace("layers", __name__)
