"""Every registered activation, by name, third parties' included."""

from nbdl.plugins.namespace import namespace

__getattr__, __dir__ = namespace("activations", __name__)
