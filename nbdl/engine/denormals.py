"""Denormal numbers count as zero: the processor's mode for it, set where nbdl computes and restored afterwards.

Denormals are the float32 numbers below 1.18e-38. Many processors take more than 100 cycles for each operation on one.
In this mode their operands and results are zeros: FTZ and DAZ of MXCSR on x86, FZ of FPCR on AArch64. Other
processors are left as they are, and denormals with them.

The mode belongs to a thread. Set it around calls of kernels, on each thread that calls them. Within a kernel the
compiler could move arithmetic out of it. Around a parallel region, threads that are started there would keep it for
ever.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
FLUSH_X86 = 0x8040  # MXCSR: FTZ, results, and DAZ, operands
FLUSH_ARM = 1 << 24  # FPCR: FZ, both


def emit_flush(builder: Any) -> Any:
    """Set the mode; return the one before as an int64. The module's triple says which processor it is for."""
    triple = builder.module.triple
    if _is_x86(triple):
        saved = _place(builder)
        _x86(builder, "stmxcsr", saved)
        before = builder.load(saved)
        builder.store(builder.or_(before, ir.Constant(I32, FLUSH_X86)), saved)
        _x86(builder, "ldmxcsr", saved)
        return builder.zext(before, I64)
    if _is_arm(triple):
        before = _called(builder, "llvm.aarch64.get.fpcr", I64)
        _called(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), builder.or_(before, ir.Constant(I64, FLUSH_ARM)))
        return before
    return ir.Constant(I64, 0)


def emit_restore(builder: Any, before: Any) -> None:
    """Set the mode that `emit_flush` returned."""
    triple = builder.module.triple
    if _is_x86(triple):
        saved = _place(builder)
        builder.store(builder.trunc(before, I32), saved)
        _x86(builder, "ldmxcsr", saved)
    elif _is_arm(triple):
        _called(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), before)


def _is_x86(triple: str) -> bool:
    return triple.startswith(("x86_64-", "i686-"))


def _is_arm(triple: str) -> bool:
    return triple.startswith(("aarch64-", "arm64-"))


def _place(builder: Any) -> Any:
    """Four bytes of the stack, taken once however often the code runs."""
    with builder.goto_entry_block():
        return builder.alloca(I32)


def _x86(builder: Any, instruction: str, saved: Any) -> None:
    _called(builder, f"llvm.x86.sse.{instruction}", ir.VoidType(), builder.bitcast(saved, I8.as_pointer()))


def _called(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    known = builder.module.globals.get(name)
    function = known or ir.Function(
        builder.module, ir.FunctionType(result, [argument.type for argument in arguments]), name
    )
    return builder.call(function, arguments)


# -- plain Python -------------------------------------------------------------------------------------------


@contextmanager
def flushed() -> Iterator[None]:
    """Have Python and NumPy count denormals as zero on this thread."""
    flush, restore = _functions()
    before = flush()
    try:
        yield
    finally:
        restore(before)


def module(triple: str) -> str:
    """LLVM code of two functions: `flush`, which returns the mode before, and `restore`, which takes it."""
    made = ir.Module()
    made.triple = triple
    builder = ir.IRBuilder(ir.Function(made, ir.FunctionType(I64, []), "flush").append_basic_block())
    builder.ret(emit_flush(builder))
    restore = ir.Function(made, ir.FunctionType(ir.VoidType(), [I64]), "restore")
    builder = ir.IRBuilder(restore.append_basic_block())
    emit_restore(builder, restore.args[0])
    builder.ret_void()
    return str(made)


_engines: list[Any] = []


@functools.cache
def _functions() -> tuple[Callable[[], int], Callable[[int], None]]:
    """The two, for Python; where a system allows no code to be made they do nothing."""
    import ctypes

    from llvmlite import binding

    try:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        triple = binding.get_process_triple()
        machine = binding.Target.from_triple(triple).create_target_machine()
        engine = binding.create_mcjit_compiler(binding.parse_assembly(module(triple)), machine)
        engine.finalize_object()
        _engines.append(engine)  # code lives as long as its engine
    except (OSError, RuntimeError):
        return lambda: 0, lambda before: None
    flush = ctypes.CFUNCTYPE(ctypes.c_int64)(engine.get_function_address("flush"))
    restore = ctypes.CFUNCTYPE(None, ctypes.c_int64)(engine.get_function_address("restore"))
    return flush, restore
