"""Every registered regularizer, by name, third parties' included."""

from nbdl.plugins.namespace import namespace

__getattr__, __dir__ = namespace("regularizers", __name__)
