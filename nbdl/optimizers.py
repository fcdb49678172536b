"""Every registered optimizer, by name, third parties' included."""

from nbdl.namespace import namespace

__getattr__, __dir__ = namespace("optimizers", __name__)
