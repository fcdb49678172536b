# Generated from the registry by scripts/docs.py; do not edit.

from nbdl.layers import Activation as Activation
from nbdl.layers import Dense as Dense
from nbdl.layers import Dropout as Dropout
from nbdl.layers import Flatten as Flatten
from nbdl.layers import Input as Input
from nbdl.layers import InputLayer as InputLayer
