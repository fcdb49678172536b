"""Every registered callback, by name, third parties' included; and the base class."""

from nbdl.plugins.namespace import namespace
from nbdl.training.callbacks import History as History

__getattr__, __dir__ = namespace("callbacks", __name__)
