"""The type stubs of `nbdl.layers`, `nbdl.activations`, ...

Those modules look their units up when they are asked for one, which type checkers and editors cannot follow; the
stubs tell them. They hold nbdl's own units; a third party's are imported from where the third party keeps them.

A unit whose constructor takes older spellings or a layer's common arguments gets a subclass with the whole
signature; a unit made of scalar functions gets a class with the functions' own arguments; other classes are
imported from their module.
"""

from __future__ import annotations

import ast
import itertools
import keyword
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

from documents.own import own_entries
from nbdl import Layer, Loss, Metric, Optimizer, Schedule
from nbdl.plugins import description
from nbdl.plugins.description import Argument
from nbdl.plugins.namespace import CLASSES_TOO, camel_case
from nbdl.units.elementwise import metric_form
from nbdl.units.entry import Entry
from nbdl.units.registry import ALSO, registry

HEADER = "# Generated from the registry by scripts/docs.py; do not edit.\n"
KINDS = {
    "layers": "Layer",
    "activations": "Activation",
    "losses": "Loss",
    "optimizers": "Optimizer",
    "regularizers": "Regularizer",
    "initializers": "Initializer",
    "constraints": "Constraint",
    "metrics": "Metric",
    "schedules": "Schedule",
    "callbacks": "Callback",
}
# What each module exports beside its units.
EXPORTED = {
    "layers": ("nbdl", ["Layer"]),
    "callbacks": ("nbdl", ["Callback", "History"]),
    "optimizers": ("nbdl", ["schedules"]),
}
# Kinds whose constructors take arguments that all of the kind have, which are not in their text.
COMMON = (Layer, Loss, Metric, Optimizer, Schedule)
PLAIN = {"int", "float", "str", "bool", "None", "Any", "Callable", "Sequence", "list", "tuple", "dict"}
WIDTH = 120


# -- signatures ---------------------------------------------------------------------------------------------


def arguments_of(unit: type) -> list[Argument]:
    """The constructor's arguments as a stub can hold them, without imports of its own."""
    found = description.arguments_of(unit)
    if any(argument.name.startswith("*") for argument in found):
        raise SystemExit(f"{unit.__name__}: *args and **kwargs cannot be written into a stub")
    return [
        replace(argument, annotation=annotation_text(argument.annotation), default=default_text(argument.default))
        for argument in found
    ]


def annotation_text(annotation: str) -> str:
    """An annotation of names that every stub has, else Any."""
    return annotation if annotation and set(re.findall(r"[A-Za-z_][\w.]*", annotation)) <= PLAIN else "Any"


def default_text(default: str) -> str:
    """A default that is a number, a text, True, False or None; `...` for any other."""
    try:
        value = ast.literal_eval(default) if default else ""
    except ValueError:
        return "..."
    return default if isinstance(value, str | int | float | None) else "..."


def signatures(unit: type) -> list[list[Argument]]:
    """One signature, or several where a required argument has older spellings (one of them must be given)."""
    arguments, renamed = arguments_of(unit), getattr(unit, "renamed", {})
    known = {argument.name: argument for argument in arguments}
    older: list[Argument] = []
    for old, new in renamed.items():
        if known[new].default:
            older.append(Argument(old, known[new].annotation, "...", True))
    spellings = [
        [argument.name, *(old for old, new in renamed.items() if new == argument.name)]
        for argument in arguments
        if not argument.default
    ]
    made = []
    for chosen in itertools.product(*spellings):
        names = dict(zip((one[0] for one in spellings), chosen, strict=True))
        # Once an argument goes by an older name, those after it cannot be told by position.
        moved = False
        signature = []
        for argument in arguments:
            name = names.get(argument.name, argument.name)
            moved = moved or name != argument.name
            signature.append(Argument(name, argument.annotation, argument.default, argument.keyword_only or moved))
        made.append(signature + older)
    return made


def method(name: str, arguments: list[Argument], overloaded: bool) -> Iterator[str]:
    """A constructor, on one line if it fits."""
    if overloaded:
        yield "    @overload"
    shown = ["self"]
    for argument in arguments:
        if argument.keyword_only and "*" not in shown:
            shown.append("*")
        shown.append(str(argument))
    line = f"    def {name}({', '.join(shown)}) -> None: ..."
    if len(line) <= WIDTH:
        yield line
        return
    yield f"    def {name}("
    yield from (f"        {one}," for one in shown)
    yield "    ) -> None: ..."


# -- units ----------------------------------------------------------------------------------------------------


def names_of(entry: Entry) -> list[str]:
    """Every spelling under which the module offers a unit; the first is its class."""
    names = [entry.name, *entry.aliases]
    target = entry.target.__name__
    if registry.find(entry.kind, target) is entry:
        names.append(target)
    if entry.kind in CLASSES_TOO:
        names.append(camel_case(entry.name))
    return [name for name in dict.fromkeys(names) if name.isidentifier() and not keyword.iskeyword(name)]


def unit(entry: Entry) -> Iterator[str]:
    """The stub of a unit, and its further names."""
    target, names = entry.target, names_of(entry)
    scalar = getattr(sys.modules[target.__module__], target.__name__, None) is not target
    base, first = KINDS[entry.kind], names[0]
    if not scalar and target.__name__ in names and not issubclass(target, COMMON) and not target.renamed:
        first = target.__name__
        yield f"from {target.__module__} import {first} as {first}"
    elif scalar or issubclass(target, COMMON) or target.renamed:
        if not scalar:
            base = f"_{target.__name__}"
            yield f"from {target.__module__} import {target.__name__} as {base}"
        yield f"\nclass {first}({base}):"
        forms = signatures(target)
        for form in forms:
            yield from method("__init__", form, len(forms) > 1)
        yield ""
    else:
        yield f"from {target.__module__} import {target.__name__} as {first}"
    yield from (f"{name} = {first}" for name in names if name != first)
    if entry.kind == "layers" and target.takes_several and not keyword.iskeyword(first.lower()):
        yield f"def {first.lower()}(inputs: Any, *arguments: Any, **options: Any) -> Any: ..."


def metric(entry: Entry, names: list[str]) -> Iterator[str]:
    """The stub of a loss among the metrics, whose arguments have another order."""
    if names:
        yield f"from nbdl.losses import {names[0]} as _{names[0]}"
        yield f"\nclass {names[0]}(_{names[0]}):"
        yield from method("__init__", arguments_of(metric_form(entry.target)), False)
        yield ""
        yield from (f"{name} = {names[0]}" for name in names[1:])


def stub(kind: str) -> str:
    """The stub of `nbdl.<kind>`."""
    module, exported = EXPORTED.get(kind, ("nbdl", []))
    body: list[str] = []
    for name in exported:
        body.append(f"from {module} import {name} as {name}")
    if KINDS[kind] not in exported:
        body.append(f"from nbdl import {KINDS[kind]} as {KINDS[kind]}")
    for entry in own_entries(kind):
        body += unit(entry)
    if kind in ALSO:
        taken = {name for entry in own_entries(kind) for name in names_of(entry)}
        for entry in own_entries(ALSO[kind]):
            body += metric(entry, [name for name in names_of(entry) if name not in taken])
    body.append(f"\ndef get(given: Any, where: str = ...) -> {KINDS[kind]}: ...")
    body.append("def serialize(given: Any) -> Any: ...")
    body.append(f"def deserialize(config: Any, custom_objects: None = ...) -> {KINDS[kind]}: ...")
    return assembled(body)


def assembled(body: list[str]) -> str:
    """Imports first, then the rest."""
    lines = "\n".join(body).split("\n")
    imports = sorted({line for line in lines if line.startswith("from ")}, key=lambda line: line.replace(" as ", "  "))
    rest = "\n".join(line for line in lines if not line.startswith("from "))
    typing = [name for name in ("Any", "overload") if re.search(rf"\b{name}\b", rest)]
    head = [
        f"from collections.abc import {name}" for name in ("Callable", "Sequence") if re.search(rf"\b{name}\b", rest)
    ]
    if typing:
        head.append(f"from typing import {', '.join(typing)}")
    rest = re.sub(r"\n{3,}", "\n\n", rest).strip("\n")
    # As the linter sorts them: what is not the core's comes first.
    others = [line for line in imports if not re.match(r"from nbdl[ .]", line)]
    core = [line for line in imports if line not in others]
    blocks = ["\n".join(head), *("\n".join(map(wrapped, part)) for part in (others, core)), rest]
    return HEADER + "\n" + "\n\n".join(block for block in blocks if block) + "\n"


def wrapped(line: str) -> str:
    """An import, on three lines if it is long."""
    if len(line) <= WIDTH:
        return line
    source, _, name = line.partition(" import ")
    return f"{source} import (\n    {name},\n)"


def datasets() -> str:
    """The stub of `nbdl.datasets`, whose names are objects with `load_data`."""
    imports = ["from nbdl.plugins.namespace import Dataset"]
    classes, names = [], []
    for entry in own_entries("datasets"):
        function = f"_{entry.name}"
        imports.append(f"from {entry.target.__module__} import {entry.target.__name__} as {function}")
        name = camel_case(entry.name)
        classes.append(f"class _{name}(Dataset):\n    load_data = staticmethod({function})\n")
        names += [f"{spelling}: _{name}" for spelling in (entry.name, *entry.aliases)]
    return assembled([*imports, *classes, *names])


def core() -> str:
    """The stub of `nbdl.layers.core`, where Keras 1 kept its layers."""
    names = {name for entry in own_entries("layers") for name in names_of(entry)}
    in_order = sorted(names, key=lambda name: (not name.isupper(), name.lower()))  # as the linter sorts them
    return HEADER + "\n" + "\n".join(f"from nbdl.layers import {name} as {name}" for name in in_order) + "\n"


def stubs() -> dict[str, str]:
    """Every stub, by its name within the package."""
    made = {"layers/__init__.pyi": stub("layers"), "layers/core.pyi": core()}
    for kind in KINDS:
        if kind != "layers":
            made[f"{kind}.pyi"] = stub(kind)
    made["datasets.pyi"] = datasets()
    return made
