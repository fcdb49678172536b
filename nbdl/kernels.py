"""What hand-written kernel bodies are made with; `Recorder.kernel` tells how a layer records one.

A body is a plain function over arrays. It computes what `map`, `sum` and `gemm` cannot say:

>>> def running_sums(x, y):
...     for i in range(x.shape[0]):
...         total = 0.0
...         for j in range(x.shape[1]):
...             total += x[i, j]
...             y[i, j] = total

A layer records it by `r.kernel(running_sums, x, shapes=[x.shape])`. The one function is compiled, runs as plain Python
under `NUMBA_DISABLE_JIT=1` (where a debugger stops in it), gives float64 gradients to the conformance suite, and is
translated to C.

**Arrays.** A body gets its inputs, then its outputs, each as an array of float32 with two axes, rows × features:

- a tensor with rows: some rows of the batch, any number of them and from any place, a tile. So rows must be
  independent, and all of an output is to be written, since it may hold anything before;
- a weight or a table (`r.table`) as it lies: its first axis × all others. A vector of n has the shape (n, 1);
- a number as an array of one element, `k[0, 0]`;
- with `r.kernel(..., rows=False)`, for outputs of fixed shape: of the inputs all rows of the batch, and of each output
  a part of its rows; the last argument, `first`, is the number of that part's first row. Each element is to be added up
  in the order of the batch: then its bits are the same on any number of threads.

Whatever else a body must know, a size or a count, is an operand too, a number or a table: these are data of the
program, and no value of theirs compiles anew, as a constant of the module does. Integers in them are exact to 2²⁴.

**What a body is made of.** `for ... in range(...)`, `while`, `if`, assignments; elements `x[i, j]`, rows `x[i]`, slices
`x[i, a:b]` and `x[:, a:b]`; `.shape`, `len`; arithmetic, `abs`, `min`, `max`, `int`, `float`, `math.*`; numbers of the
module; other such functions, of any module; the functions below. There are no lists, dicts, strings, exceptions,
functions within functions, and no recursion.

A CPU also takes what Numba takes of NumPy: operations on whole arrays (`y[:, :] = 2.0 * x`), `np.sort(x[i])`, `np.exp`.
CUDA and the C export refuse these, and the compiler takes seconds for each: a loop compiles in less and is as fast.

**A body writes to its outputs alone.** One that assigns to an input, by whatever name, is refused where it is recorded.

Literals such as 0.5 are float32. Integers are of 64 bits: `int(x[i, j])` makes one of a float, and an index is one. An
integer and a float in one operation are float64, which GPUs are slow at and C refuses: write `float(i)`.

An index is from 0 to below the array's size, and every element of an output is to be written. The first run of a body
in a process is tried in plain Python, on the first rows of its data. What reaches outside an array, takes an index
below 0, leaves an output unwritten or reads it before, is refused with its line. (It takes up to 0.05 s; a net in
compiled code, a C export and a GPU try it on made-up numbers from 0 to below 1.) Where indices follow from sizes,
numbers and tables, other data change nothing. Where a body takes an index, the end of a loop or the way to an element
from its data, compiled code for CPUs looks at each index, and the run ends in an error. C and GPUs do not look:
compare such an index with the size first. `NBDL_CHECK=1` runs bodies in Python at each step.

**NaN.** 1/0 is infinity and log(-1) is NaN; nothing raises. A NaN that comes in must come out, for so divergence is
found: `max(x, 0.0)` keeps a NaN of x, `max(0.0, x)` does not, here as in Python. `int` of a NaN is any number, so test
`x == x` before you index by it.

**Random numbers** are an operand: `r.uniform(x)` draws numbers in [0, 1) of the shape of x, `r.uniform(x, (n,))` n for
each row, anew in each step, the same on any number of threads. Of two, u and v, comes a normal one:
`math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)`.

**CUDA.** `r.kernel(..., cuda=body)` gives the body for a GPU, which every thread of a row's block runs, on flat arrays:
`body(row, thread, threads, *inputs, *outputs)`, with element j of a row at `row * features + j`; with `rows=False`
`body(first, end, count, thread, threads, *inputs, *outputs)` for rows first to end of the outputs and `count` rows of
the batch. Threads share the work out (`j = thread`, then `j += threads`), meet at `barrier()`, and hand each other
numbers in a `shared` array; there are at most `MOST_THREADS`. There is no `gemm` within a CUDA body, but `r.gemm` of
whole tensors. A layer whose body has no CUDA body runs on the CPU alone, and says so.

**C.** The exporter translates the CPU body, where it keeps to `for` over `range` with one or two arguments, `while`,
`if`, elements `x[i, j]` whose integers are not negative, `.shape`, `len`, `+`, `-` and `*` of integers (not `//` and
`%`), numbers as arguments of other functions, and `gemm` of arrays or of slices of them. There are no rows `x[i]`, no
other slices, no `return`, and nothing of NumPy. What it cannot translate it refuses, naming the line.
"""

from __future__ import annotations

from typing import Any

MOST_THREADS = 128
"""Threads of a CUDA body, at most."""


def gemm(
    a: Any, b: Any, out: Any, transpose_a: bool = False, transpose_b: bool = False, accumulate: bool = False
) -> None:
    """A matrix product within a body: out = op(a)·op(b).

    Compiled, it is the engine's own product: each element one chain of fused multiply-adds, whatever the tiles.

    Args:
        a: m × k, or k × m if it is transposed: an array, or a slice such as `x[:, 3:7]`.
        b: k × n, or n × k if it is transposed.
        out: m × n; it overlaps neither a nor b.
        transpose_a, transpose_b: whether to transpose.
        accumulate: add the product to what `out` holds.

    Raises:
        ValueError: in plain Python and under `NBDL_CHECK=1`: the shapes do not fit. Compiled code does not look.

    >>> import numpy as np
    >>> a, out = np.array([[1.0, 2.0]]), np.ones((1, 1))
    >>> gemm(a, a, out, transpose_b=True, accumulate=True)
    >>> out.item()
    6.0
    """
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    if product.shape != out.shape:
        raise ValueError(f"gemm: a product of shape {product.shape} does not fit into one of {out.shape}")
    out[...] = out + product if accumulate else product


def barrier() -> None:
    """In a CUDA body: wait until all threads of the block have come here; all of them must."""


def shared(size: int) -> Any:
    """In a CUDA body: an array of float32 that the threads of a block share, with whatever it held before.

    Args:
        size: elements, a number or a constant of the module: it is fixed when the kernel is compiled.
    """
    import numpy as np

    return np.zeros(size, np.float32)  # in plain Python, where there is one thread


# How they are spelt in the text that is compiled. Where they have no spelling, they are refused.
setattr(gemm, "primitive", "nbdl.engine.cpu.views:product")  # noqa: B010
setattr(gemm, "c_name", "gemm")  # noqa: B010
setattr(barrier, "cuda_name", "cuda.syncthreads")  # noqa: B010
setattr(shared, "cuda_name", "cuda.shared.array")  # noqa: B010

__all__ = ["MOST_THREADS", "barrier", "gemm", "shared"]
