"""Every registered dataset, by name: `from nbdl.datasets import mnist; mnist.load_data()`."""

from nbdl.plugins.namespace import namespace

__getattr__, __dir__ = namespace("datasets", __name__)
