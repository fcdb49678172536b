"""Regression with outliers: the loss `general_robust`, the optimizer `Yogi`, the command `nbdl outliers`."""
