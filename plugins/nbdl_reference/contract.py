"""The page of hooks: the whole plugin contract, from `nbdl.hookspecs` and `nbdl.options`."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

from nbdl import Builder, Recorder, hookspecs
from nbdl.options import OPTIONS, Option
from nbdl.plugins import parse_docstring, signature_of
from nbdl.program import Operation
from nbdl_reference.markdown import block, code, prose, table


def hook_page() -> str:
    """The page of every hook, with the options of a registration."""
    hooks = hookspecs.specifications()
    parts = ["# Hooks", *paragraphs(hookspecs), f"Version {hookspecs.VERSION}."]
    rows = ([f"[{code(name)}](#{name})", prose(summary(hook))] for name, hook in hooks.items())
    parts.append(table(["hook", ""], rows))
    for name, hook in hooks.items():
        parts += [f"## {code(name)}", block(signature_of(hook), "python"), f"Since {hook.since}.", *paragraphs(hook)]
        parts += options(name.removeprefix("register_"))
    return "\n\n".join(parts)


# What layers, and all units that are not elementwise, are written with.
WRITTEN_WITH = {
    "Recorder": (
        "map", "sum", "gemm", "kernel", "uniform", "table", "take", "mean", "share", "total", "chain_rule", "add_to",
        "one_hot", "concat", "slice", "spread", "reshape", "gradient", "assign", "write", "log",
    ),
    "Builder": ("weight", "state", "layer"),
}  # fmt: skip


def written_with_page(name: str) -> str:
    """Return the page of what units are written with: "Recorder" or "Builder"."""
    made_with: Any = {"Recorder": Recorder, "Builder": Builder}[name]
    parts = [f"# {name}", f"{code(f'nbdl.{name}')}.", *paragraphs(made_with)]
    if name == "Recorder":
        parts += paragraphs(inspect.getmodule(Operation))
    for method in WRITTEN_WITH[name]:
        parts += _method(f"{name.lower()[0]}.{method}", getattr(made_with, method))
    return "\n\n".join(parts)


def _method(name: str, method: Any) -> Iterator[str]:
    """A method with its arguments and errors."""
    doc = parse_docstring(inspect.getdoc(method) or "")
    yield f"## {code(name.partition('.')[2])}"
    yield block(signature_of(method, name).replace("(self, ", "("), "python")
    yield prose(doc.summary)
    yield from (prose(note) for note in doc.notes)
    if doc.arguments:
        yield table(["argument", "meaning"], ([code(one), prose(text)] for one, text in doc.arguments.items()))
    if doc.returns:
        yield f"Returns {prose(doc.returns)}"
    yield from (f"Raises {code(error)}: {prose(text)}" for error, text in doc.raises.items())


def summary(hook: Any) -> str:
    """The first paragraph of a hook's docstring, on one line."""
    return " ".join((inspect.getdoc(hook) or "").split("\n\n")[0].split())


def paragraphs(documented: Any) -> Iterator[str]:
    """A docstring as Markdown: prose, and code where it is set in."""
    for is_code, group in itertools.groupby((inspect.getdoc(documented) or "").split("\n\n"), _is_set_in):
        if is_code:
            yield block(inspect.cleandoc("\n" + "\n\n".join(group)), "python")
        else:
            yield from (prose(" ".join(paragraph.split())) for paragraph in group if paragraph)


def _is_set_in(paragraph: str) -> bool:
    return paragraph.startswith(("    ", ">>> "))


def options(kind: str) -> Iterator[str]:
    """What a registration of a kind takes beside the unit."""
    rows = [
        [code(f"{one.name}={one.takes}"), prose(meaning(one)), one.since]
        for one in OPTIONS
        if not one.kinds or kind in one.kinds
    ]
    if rows:
        yield table(["option", "meaning", "since"], rows)


def meaning(option: Option) -> str:
    """What an option says; first, what to use instead of one that is deprecated."""
    return f"Deprecated: {option.deprecated}. {option.text}" if option.deprecated else option.text
