"""The engine: programs of four operations, scheduled onto compiled kernels.

program (what) → schedule (how) → cpu (run). `kernel` wraps the compiler, `scalar` turns plain Python functions
into float32 source, `reference` runs a program line by line in plain Python. No module here knows a unit.
"""
