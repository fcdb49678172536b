"""Every registered constraint, by name, third parties' included."""

from nbdl.plugins.namespace import namespace

__getattr__, __dir__ = namespace("constraints", __name__)
