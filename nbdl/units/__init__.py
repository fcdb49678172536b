"""What authors subclass: layers, losses, metrics, optimizers, callbacks and the other kinds of unit."""
