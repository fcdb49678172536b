# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.initializers.constant import Constant as Constant
from nbdl_standard.initializers.glorot_uniform import GlorotUniform as GlorotUniform
from nbdl_standard.initializers.he_uniform import HeUniform as HeUniform
from nbdl_standard.initializers.ones import Ones as Ones
from nbdl_standard.initializers.zeros import Zeros as Zeros

from nbdl import Initializer

constant = Constant
glorot_uniform = GlorotUniform
he_uniform = HeUniform
ones = Ones
one = Ones
zeros = Zeros
zero = Zeros

def get(given: Any, where: str = ...) -> Initializer: ...
