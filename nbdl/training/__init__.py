"""fit, evaluate and predict: inputs, batches, steps, callbacks and progress."""
