# Generated from the registry by scripts/docs.py; do not edit.

from nbdl.layers import ELU as ELU
from nbdl.layers import Activation as Activation
from nbdl.layers import ActivityRegularization as ActivityRegularization
from nbdl.layers import AlphaDropout as AlphaDropout
from nbdl.layers import BatchNormalization as BatchNormalization
from nbdl.layers import Dense as Dense
from nbdl.layers import Dropout as Dropout
from nbdl.layers import Embedding as Embedding
from nbdl.layers import Flatten as Flatten
from nbdl.layers import GaussianDropout as GaussianDropout
from nbdl.layers import GaussianNoise as GaussianNoise
from nbdl.layers import Input as Input
from nbdl.layers import InputLayer as InputLayer
from nbdl.layers import LayerNormalization as LayerNormalization
from nbdl.layers import LeakyReLU as LeakyReLU
from nbdl.layers import MaxoutDense as MaxoutDense
from nbdl.layers import Normalization as Normalization
from nbdl.layers import Permute as Permute
from nbdl.layers import PReLU as PReLU
from nbdl.layers import ReLU as ReLU
from nbdl.layers import RepeatVector as RepeatVector
from nbdl.layers import Rescaling as Rescaling
from nbdl.layers import Reshape as Reshape
from nbdl.layers import RMSNormalization as RMSNormalization
from nbdl.layers import Softmax as Softmax
from nbdl.layers import UnitNormalization as UnitNormalization
