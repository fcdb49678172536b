"""Every registered schedule, by name, third parties' included."""

from nbdl.plugins.namespace import namespace

__getattr__, __dir__ = namespace("schedules", __name__)
