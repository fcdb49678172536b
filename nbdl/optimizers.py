"""Every registered optimizer, by name, third parties' included; and the schedules, which Keras has here."""

from nbdl import schedules as schedules
from nbdl.plugins.namespace import namespace

__getattr__, __dir__ = namespace("optimizers", __name__)
