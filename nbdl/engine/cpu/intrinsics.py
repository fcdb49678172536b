"""What kernels are written with below Python: memory by address, calls by address.

Everything here uses public Numba and llvmlite API. An address is an int64 made into a pointer where it is used
(inttoptr), so LLVM cannot trace two operands to one base. Loads and stores carry alias scopes: without them LLVM
guards a loop over four or more operands with overlap checks, and an operation in place would always fail them.
"""

from __future__ import annotations

import os
import platform
from typing import Any

from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from nbdl.engine.cpu.layout import OUTPUTS
from nbdl.engine.denormals import emit_flush, emit_restore

I8, I32, I64, F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
KERNEL_ARGUMENTS = 8
SPINS = 2000  # pauses before a waiting thread gives way: some 50 µs


def _scope(module: Any, name: str) -> Any:
    domain = module.add_metadata(["nbdl operands"])
    return module.add_metadata([f"nbdl {name}", domain])


def _mark(builder: Any, instruction: Any, own: str, others: list[str]) -> None:
    module = builder.module
    instruction.set_metadata("alias.scope", module.add_metadata([_scope(module, own)]))
    instruction.set_metadata("noalias", module.add_metadata([_scope(module, name) for name in others]))


def _element(builder: Any, address: Any, index: Any, item: Any) -> Any:
    return builder.gep(builder.inttoptr(address, item.as_pointer()), [index])


STORES = [f"store {k}" for k in range(OUTPUTS)]


@intrinsic
def word(typingctx: Any, address: Any, index: Any) -> Any:
    """The int64 number `index` of a descriptor or frame."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = builder.load(_element(builder, args[0], args[1], I64))
        # Descriptors never change while kernels run; kernels only write floats.
        _mark(builder, loaded, "words", STORES)
        return loaded

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def write_word(typingctx: Any, address: Any, index: Any, value: Any) -> Any:
    """Write an int64 of a frame that no kernel reads yet."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _element(builder, args[0], args[1], I64))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def wrapping_product(typingctx: Any, a: Any, b: Any) -> Any:
    """The low 64 bits of a product."""
    return types.int64(types.int64, types.int64), lambda context, builder, signature, args: builder.mul(*args)


@intrinsic
def data_of(typingctx: Any, array: Any) -> Any:
    """Where an array's data starts; `array.ctypes.data` would count a reference up and down."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(context.make_array(array)(context, builder, args[0]).data, I64)

    return types.int64(array), codegen


def _loader(item: Any, numba_type: Any, align: int = 1) -> Any:
    @intrinsic
    def load(typingctx: Any, address: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            loaded = builder.load(_element(builder, args[0], args[1], item), align=align)
            _mark(builder, loaded, "loads", STORES)
            return loaded

        return numba_type(types.int64, types.int64), codegen

    return load


load = _loader(F32, types.float32, align=4)
# What a batch is gathered from is an author's array, which need not be aligned.
load_float32 = _loader(F32, types.float32)
load_float64 = _loader(ir.DoubleType(), types.float64)
load_int64 = _loader(I64, types.int64)
load_uint64 = _loader(I64, types.uint64)
load_int32 = _loader(I32, types.int32)
load_uint32 = _loader(I32, types.uint32)
load_int16 = _loader(ir.IntType(16), types.int16)
load_uint16 = _loader(ir.IntType(16), types.uint16)
load_int8 = _loader(I8, types.int8)
load_uint8 = _loader(I8, types.uint8)


def _storer(own: str) -> Any:
    @intrinsic
    def store(typingctx: Any, address: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            instruction = builder.store(args[2], _element(builder, args[0], args[1], F32))
            _mark(builder, instruction, own, ["loads", "words", *(name for name in STORES if name != own)])
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.float32), codegen

    return store


@intrinsic
def reload(typingctx: Any, address: Any, index: Any) -> Any:
    """A float32 of the first output, as `store_0` left it: sums that go on in memory must read it so."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = builder.load(_element(builder, args[0], args[1], F32))
        _mark(builder, loaded, STORES[0], ["loads", "words", *STORES[1:]])
        return loaded

    return types.float32(types.int64, types.int64), codegen


# One per output of an operation: outputs never overlap one another, and may overlap an input only in place.
store_0, store_1, store_2, store_3, store_4, store_5, store_6, store_7 = map(_storer, STORES)


def _ordering(nan: int) -> Any:
    """Float32 to int32 in the same order, 0.0 and -0.0 alike: of integers LLVM vectorises a maximum, NaN or not."""

    @intrinsic
    def order(typingctx: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            is_nan = builder.fcmp_unordered("uno", args[0], args[0])
            return builder.select(is_nan, I32(nan), _turned(builder, builder.bitcast(args[0], I32)))

        return types.int32(types.float32), codegen

    return order


def _turned(builder: Any, bits: Any) -> Any:
    """Sign and size as a negative integer, or the other way; what is not negative stays as it is."""
    turned = builder.sub(I32(-0x80000000), bits)
    return builder.select(builder.icmp_signed("<", bits, I32(0)), turned, bits)


# The least integer would not do: LLVM knows that no maximum takes it, and makes a branch of that.
order_nan_last, order_nan_first = _ordering(0x7FFFFFFF), _ordering(-0x7FFFFFFF)


@intrinsic
def from_order(typingctx: Any, order: Any) -> Any:
    """The float32 of such an int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(_turned(builder, args[0]), F32)

    return types.float32(types.int32), codegen


@intrinsic
def larger_if_equal(typingctx: Any, best: Any, number: Any, a: Any, b: Any) -> Any:
    """The larger of two numbers where a = b, else the first: without branches, of which LLVM would make an exit."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        best, number, a, b = args
        candidate = builder.select(builder.icmp_signed("==", a, b), builder.trunc(number, I32), I32(0))
        return builder.select(builder.icmp_signed(">", candidate, best), candidate, best)

    return types.int32(types.int32, types.int64, types.int32, types.int32), codegen


@intrinsic
def call(
    typingctx: Any, address: Any, frame: Any, op: Any, r0: Any, r1: Any, c0: Any, c1: Any, chunk: Any, first: Any
) -> Any:
    """Call a compiled kernel, `int64(int64 × 8)` in the C convention, by its address."""
    signature = types.int64(types.int64, *([types.int64] * KERNEL_ARGUMENTS))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(I64, [I64] * KERNEL_ARGUMENTS)
        return builder.call(builder.inttoptr(args[0], function.as_pointer()), args[1:])

    return signature, codegen


@intrinsic
def flush_denormals(typingctx: Any) -> Any:
    """Have this thread count denormals as zero; return its mode before. Around calls of kernels, never within one."""
    return types.int64(), lambda context, builder, signature, args: emit_flush(builder)


@intrinsic
def restore_denormals(typingctx: Any, mode: Any) -> Any:
    """Give this thread the mode back that it had before `flush_denormals`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit_restore(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def read_shared(typingctx: Any, address: Any, index: Any) -> Any:
    """An int64 that another thread may write; what it wrote before is seen too."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_element(builder, args[0], args[1], I64), "acquire", 8)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def write_shared(typingctx: Any, address: Any, index: Any, value: Any) -> Any:
    """Write an int64 that other threads read, after all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _element(builder, args[0], args[1], I64), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def add_shared(typingctx: Any, address: Any, index: Any) -> Any:
    """Raise an int64 that threads share by one; return what it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(builder, args[0], args[1], I64)
        return builder.atomic_rmw("add", pointer, ir.Constant(I64, 1), "acq_rel")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def claim(typingctx: Any, address: Any, index: Any, expected: Any) -> Any:
    """Raise a shared int64 by one if it is still `expected`; return 1 if this thread did it, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(builder, args[0], args[1], I64)
        raised = builder.add(args[2], ir.Constant(I64, 1))
        outcome = builder.cmpxchg(pointer, args[2], raised, "acq_rel", "acquire")
        return builder.zext(builder.extract_value(outcome, 1), I64)

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def relax(typingctx: Any, tries: Any) -> Any:
    """Wait a moment for another thread: a pause of the processor, and after many tries a turn for whoever is ready."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if platform.machine() in ("x86_64", "AMD64"):
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        if os.name == "posix":
            with builder.if_then(builder.icmp_signed(">", args[0], ir.Constant(I64, SPINS)), likely=False):
                give_way = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I32, []), "sched_yield")
                builder.call(give_way, [])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def _pointer(typingctx: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], F32.as_pointer())

    return types.CPointer(types.float32)(types.int64), codegen


@register_jitable
def view(address: int, rows: int, features: int) -> Any:
    """A rows × features float32 array over memory that someone else owns."""
    return carray(_pointer(address), (rows, features))
