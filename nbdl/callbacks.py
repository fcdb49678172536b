"""Every registered callback, by name, third parties' included; and the base class."""

from nbdl.callback import History as History
from nbdl.namespace import namespace

__getattr__, __dir__ = namespace("callbacks", __name__)
