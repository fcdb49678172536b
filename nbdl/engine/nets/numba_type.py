"""Nets in Numba's eyes: one type for all of them, a word wide.

A function that takes a net as an argument is compiled once for all nets, and what Numba caches of it (`cache=True`)
holds neither weights nor addresses. A net that is a global or a closure of a compiled function is put into it by its
address, and Numba refuses to cache such a function.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.core.imputils import lower_constant
from numba.extending import (
    NativeValue,
    intrinsic,
    lower_builtin,
    models,
    overload_attribute,
    overload_method,
    register_jitable,
    register_model,
    typeof_impl,
    unbox,
)

from nbdl.engine.cpu import intrinsics, layout
from nbdl.engine.cpu.intrinsics import data_of, word
from nbdl.engine.nets import plans
from nbdl.engine.nets.net import Net
from nbdl.engine.nets.plans import INPUTS, OUTPUTS
from nbdl.program.language.source import source_of


@functools.cache
def _layout() -> str:
    """A digest of what compiled callers know of a net; it is part of the type's name, and so of Numba's cache key."""
    digest = hashlib.sha256()
    for module in (__name__, plans.__name__, layout.__name__, intrinsics.__name__):
        digest.update(source_of(module).read_bytes())
    return digest.hexdigest()[:16]


class NetType(types.Type):  # type: ignore[misc]
    """The Numba type of all nets: the address of its words.

    Users' caches name this class by its module: it cannot move without an import error in their programs.
    """

    def __init__(self) -> None:
        super().__init__(name=f"nbdl.Net({_layout()})")


net_type = NetType()
_put_into_code: list[Net] = []


@register_model(NetType)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.IntType(64))

    def as_data(self, builder: Any, value: Any) -> Any:
        """A list, a jitclass's attribute: they would outlive the model, whose memory the word names."""
        raise TypingError("a net cannot be put into a list, a dict or a jitclass: pass it as an argument")


@typeof_impl.register(Net)
def _typeof(value: Any, context: Any) -> NetType:
    return net_type


@unbox(NetType)
def _unbox(kind: Any, value: Any, c: Any) -> NativeValue:
    """The address. A stale net is refused here: what compiled code raises within `prange` is lost."""
    address = c.pyapi.object_getattr_string(value, "address")
    number = c.builder.alloca(ir.IntType(64))
    c.builder.store(ir.Constant(ir.IntType(64), 0), number)
    fine = c.builder.icmp_signed("!=", c.builder.ptrtoint(address, ir.IntType(64)), ir.Constant(ir.IntType(64), 0))
    with c.builder.if_then(fine):
        c.builder.store(c.pyapi.long_as_longlong(address), number)
        c.pyapi.decref(address)
    return NativeValue(c.builder.load(number), is_error=c.builder.not_(fine))


@lower_constant(NetType)
def _constant(context: Any, builder: Any, kind: Any, value: Net) -> Any:
    _put_into_code.append(value)  # code is never freed, so what it points to must not be
    pointer = context.add_dynamic_addr(builder, value.address, info="an nbdl net")
    return builder.ptrtoint(pointer, ir.IntType(64))


@intrinsic
def address_of(typingctx: Any, net: Any) -> Any:
    """The address of a net's words."""
    return types.int64(net_type), lambda context, builder, signature, args: args[0]


@lower_builtin(net_type, NetType, types.VarArg(types.Any))
def _lower_call(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """`net(x)`: Numba types a call of a value as its method `__call__`, but leaves the lowering to the type."""
    method = context.typing_context.resolve_getattr(net_type, "__call__")
    found = method.get_call_type(context.typing_context, signature.args[1:], {})
    return context.get_function(method, found)(builder, args)


@overload_attribute(NetType, "inputs", strict=False)
def _inputs(net: Any) -> Any:
    return lambda net: word(address_of(net), INPUTS)


@overload_attribute(NetType, "outputs", strict=False)
def _outputs(net: Any) -> Any:
    return lambda net: word(address_of(net), OUTPUTS)


def _method(name: str) -> Any:
    return overload_method(NetType, name, strict=False)  # strict compares annotations too


def _is_float32(kind: Any) -> bool:
    return bool(kind.dtype == types.float32 and kind.layout == "C")


def _refuse(method: str, dimensions: int, **arguments: Any) -> None:
    """Raise unless these are arrays of numbers of as many dimensions."""
    for name, kind in arguments.items():
        if not isinstance(kind, types.Array) or not isinstance(kind.dtype, types.Number) or kind.ndim != dimensions:
            raise TypingError(f"net{method}: {name} is {kind}, not an array of numbers of {dimensions} dimension(s)")
        if name == "out" and not kind.mutable:
            raise TypingError(f"net{method}: out is read-only")


def _dimensions(x: Any) -> int:
    return 2 if getattr(x, "ndim", 1) == 2 else 1


def _is_new(out: Any) -> bool:
    return out in (None, types.none) or isinstance(out, types.Omitted)


@register_jitable
def _float32(x: Any) -> Any:
    return np.ascontiguousarray(x).astype(np.float32)


@register_jitable
def _copy(result: Any, out: Any) -> None:
    if out.shape != result.shape:
        raise ValueError("out has another shape than the result")
    out[...] = result


@register_jitable
def _apart(x: Any, out: Any) -> Any:
    """Whether the result may be written while x is read still."""
    return data_of(x) + 4 * x.size <= data_of(out) or data_of(out) + 4 * out.size <= data_of(x)


@register_jitable
def _never(x: Any, out: Any) -> Any:
    return False


def _direct(out: Any) -> Any:
    """What says whether a result can be written to `out` itself, beside an array that is read."""
    return _apart if _is_float32(out) else _never


@_method("__call__")
def _call(net: Any, x: Any, out: Any = None) -> Any:
    dimensions = _dimensions(x)
    _refuse("(x)", dimensions, x=x)
    run = plans.predict_row if dimensions == 1 else plans.predict_rows
    if not _is_float32(x):
        return lambda net, x, out=None: net(_float32(x), out)
    if _is_new(out):

        def new(net: Any, x: Any, out: Any = None) -> Any:
            result = np.empty(x.shape[:-1] + (word(address_of(net), OUTPUTS),), np.float32)  # noqa: RUF005
            run(address_of(net), x, result)
            return result

        return new
    _refuse("(x, out)", dimensions, out=out)
    direct = _direct(out)

    def into(net: Any, x: Any, out: Any = None) -> Any:
        if direct(x, out):
            run(address_of(net), x, out)
        else:
            _copy(net(x), out)
        return out

    return into


@_method("vjp")
def _vjp(net: Any, x: Any, dy: Any, out: Any = None) -> Any:
    dimensions = _dimensions(x)
    _refuse(".vjp(x, dy)", dimensions, x=x, dy=dy)
    run = plans.vjp_row if dimensions == 1 else plans.vjp_rows
    if not _is_float32(x) or not _is_float32(dy):
        return lambda net, x, dy, out=None: net.vjp(_float32(x), _float32(dy), out)
    if _is_new(out):

        def new(net: Any, x: Any, dy: Any, out: Any = None) -> Any:
            result = np.empty(x.shape, np.float32)
            run(address_of(net), x, dy, result)
            return result

        return new
    _refuse(".vjp(x, dy, out)", dimensions, out=out)
    direct = _direct(out)

    def into(net: Any, x: Any, dy: Any, out: Any = None) -> Any:
        if direct(x, out) and direct(dy, out):
            run(address_of(net), x, dy, out)
        else:
            _copy(net.vjp(x, dy), out)
        return out

    return into


@_method("jacobian")
def _jacobian(net: Any, x: Any, out: Any = None) -> Any:
    dimensions = _dimensions(x)
    _refuse(".jacobian(x)", dimensions, x=x)
    run = plans.jacobian_row if dimensions == 1 else plans.jacobian_rows
    if not _is_float32(x):
        return lambda net, x, out=None: net.jacobian(_float32(x), out)
    if _is_new(out):

        def new(net: Any, x: Any, out: Any = None) -> Any:
            result = np.empty(x.shape[:-1] + (net.outputs, net.inputs), np.float32)  # noqa: RUF005
            run(address_of(net), x, result)
            return result

        return new
    _refuse(".jacobian(x, out)", dimensions + 1, out=out)
    direct = _direct(out)

    def into(net: Any, x: Any, out: Any = None) -> Any:
        if direct(x, out):
            run(address_of(net), x, out)
        else:
            _copy(net.jacobian(x), out)
        return out

    return into
