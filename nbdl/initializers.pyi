# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.initializers.constant import Constant as Constant
from nbdl_standard.initializers.glorot_normal import GlorotNormal as GlorotNormal
from nbdl_standard.initializers.glorot_uniform import GlorotUniform as GlorotUniform
from nbdl_standard.initializers.he_normal import HeNormal as HeNormal
from nbdl_standard.initializers.he_uniform import HeUniform as HeUniform
from nbdl_standard.initializers.identity import Identity as _Identity
from nbdl_standard.initializers.lecun_normal import LecunNormal as LecunNormal
from nbdl_standard.initializers.lecun_uniform import LecunUniform as LecunUniform
from nbdl_standard.initializers.ones import Ones as Ones
from nbdl_standard.initializers.orthogonal import Orthogonal as _Orthogonal
from nbdl_standard.initializers.random_normal import RandomNormal as _RandomNormal
from nbdl_standard.initializers.random_uniform import RandomUniform as RandomUniform
from nbdl_standard.initializers.truncated_normal import TruncatedNormal as _TruncatedNormal
from nbdl_standard.initializers.variance_scaling import VarianceScaling as VarianceScaling
from nbdl_standard.initializers.zeros import Zeros as Zeros

from nbdl import Initializer as Initializer

constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform

class identity(_Identity):
    def __init__(self, gain: float = 1.0, *, scale: float = ...) -> None: ...

IdentityInitializer = identity
Identity = identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
one = Ones

class orthogonal(_Orthogonal):
    def __init__(self, gain: float = 1.0, seed: Any = None, *, scale: float = ...) -> None: ...

OrthogonalInitializer = orthogonal
Orthogonal = orthogonal

class random_normal(_RandomNormal):
    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None, *, scale: float = ...) -> None: ...

normal = random_normal
RandomNormal = random_normal
random_uniform = RandomUniform
uniform = RandomUniform

class truncated_normal(_TruncatedNormal):
    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None, *, scale: float = ...) -> None: ...

TruncatedNormal = truncated_normal
variance_scaling = VarianceScaling
zeros = Zeros
zero = Zeros

def get(given: Any, where: str = ...) -> Initializer: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Initializer: ...
