"""What the rules that follow Adam share: their arguments."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import Optimizer
from nbdl_standard.ranges import BELOW_ONE, NOT_NEGATIVE


class MomentsOptimizer(Optimizer):
    """Base of rules with running means of the gradient and of its size."""

    ranges: ClassVar = {"beta_1": BELOW_ONE, "beta_2": BELOW_ONE, "epsilon": NOT_NEGATIVE}
    none_means_default = ("epsilon",)

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7
    ) -> None:
        self.learning_rate = learning_rate
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)
