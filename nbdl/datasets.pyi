# Generated from the registry by scripts/docs.py; do not edit.

from nbdl_standard.datasets.digits import load_data as _digits
from nbdl_standard.datasets.mnist import load_data as _mnist

from nbdl.plugins.namespace import Dataset

class _Digits(Dataset):
    load_data = staticmethod(_digits)

class _Mnist(Dataset):
    load_data = staticmethod(_mnist)

digits: _Digits
mnist: _Mnist
