"""Slow, obvious NumPy truths for the standard units: what the compiled ones are compared with. Float64 throughout."""

from __future__ import annotations

from naive.activations import ACTIVATIONS
from naive.constraints import CONSTRAINTS
from naive.initializers import INITIALIZERS
from naive.layers import LAYERS
from naive.losses import LOSSES
from naive.metrics import METRICS
from naive.optimizers import OPTIMIZERS
from naive.regularizers import REGULARIZERS
from nbdl.testing.truths import Truth

TRUTHS: dict[tuple[str, str], Truth] = {
    (kind, name): truth
    for kind, units in {
        "activations": ACTIVATIONS, "losses": LOSSES, "regularizers": REGULARIZERS, "constraints": CONSTRAINTS,
        "optimizers": OPTIMIZERS, "metrics": METRICS, "initializers": INITIALIZERS, "layers": LAYERS,
    }.items()
    for name, truth in units.items()
}  # fmt: skip
