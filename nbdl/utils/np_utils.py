"""The path under which Keras 1 kept these helpers."""

from nbdl.utils import to_categorical as to_categorical
