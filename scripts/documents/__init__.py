"""What `scripts/docs.py` writes: the type stubs, the reference pages, and the README's vocabulary."""
