"""The options of a registration, by kind of unit: what `register(name, ..., option=value)` takes."""

from nbdl.plugins.options import CLASSES as CLASSES
from nbdl.plugins.options import OPTIONS as OPTIONS
from nbdl.plugins.options import Option as Option
