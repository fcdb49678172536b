"""Programs on CPUs: a schedule of tiles, compiled kernels and the drivers that call them."""
