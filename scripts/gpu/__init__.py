"""The parts of gpu_check.py. Not named `cuda`: that would hide NVIDIA's packages of that name."""
