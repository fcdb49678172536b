"""Every registered layer, by name, third parties' included."""

from nbdl.plugins.namespace import namespace

__getattr__, __dir__ = namespace("layers", __name__)
