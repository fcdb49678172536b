"""Write the type stubs of `nbdl.layers`, `nbdl.activations`, ... from the registry.

    python scripts/docs.py              # write what is stale
    python scripts/docs.py --check      # exit with 1 and name the files that are stale

Those modules look their units up when they are asked for one, which type checkers and editors cannot follow; the
stubs tell them. They hold nbdl's own units; a third party's are imported from where the third party keeps them.

A unit whose constructor takes older spellings or a layer's common arguments gets a subclass with the whole
signature; a unit made of scalar functions gets a class with the functions' own arguments; other classes are
imported from their module.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import keyword
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbdl import Layer, Loss, Metric, Optimizer, Schedule
from nbdl.registry import ALSO, Entry, registry

PACKAGE = Path(__file__).resolve().parent.parent / "nbdl"
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
# Kinds whose units Keras also spells as classes: `l2` and `L2`, `mean_squared_error` and `MeanSquaredError`.
CLASSES_TOO = ("losses", "regularizers", "constraints", "metrics", "initializers")
# Kinds whose constructors take arguments that all of the kind have, which are not in their text.
COMMON = (Layer, Loss, Metric, Optimizer, Schedule)
PLAIN = {"int", "float", "str", "bool", "None", "Any", "Callable", "Sequence", "list", "tuple", "dict"}
WIDTH = 120


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor, as text."""

    name: str
    annotation: str
    default: str  # "" if it is required
    keyword_only: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.annotation}" + (f" = {self.default}" if self.default else "")


# -- signatures ---------------------------------------------------------------------------------------------


def arguments_of(unit: type) -> list[Argument]:
    """The constructor's arguments, without self."""
    found = []
    for parameter in list(inspect.signature(unit.__init__).parameters.values())[1:]:  # type: ignore[misc]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise SystemExit(f"{unit.__name__}: *args and **kwargs cannot be written into a stub")
        annotation = annotation_text(parameter.annotation)
        default = "" if parameter.default is parameter.empty else default_text(parameter.default)
        found.append(Argument(parameter.name, annotation, default, parameter.kind is parameter.KEYWORD_ONLY))
    return found


def annotation_text(annotation: Any) -> str:
    """An annotation that a stub can hold without imports of its own, else Any."""
    if annotation is inspect.Parameter.empty:
        return "Any"
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text if set(re.findall(r"[A-Za-z_][\w.]*", text)) <= PLAIN else "Any"


def default_text(value: Any) -> str:
    """A default as it is written; `...` where it has no short form."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float) and repr(value) not in ("inf", "-inf", "nan"):
        return repr(value)
    return "..."


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


def own_entries(kind: str) -> list[Entry]:
    """The units that come with nbdl."""
    return [entry for entry in registry.entries(kind) if entry.owner.distribution == "nbdl"]


def camel_case(name: str) -> str:
    """`mean_squared_error` as `MeanSquaredError`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


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


def stub(kind: str) -> str:
    """The stub of `nbdl.<kind>`."""
    module, exported = EXPORTED.get(kind, ("nbdl", []))
    body: list[str] = []
    for name in exported:
        body.append(f"from {module} import {name} as {name}")
    if KINDS[kind] not in exported:
        body.append(f"from nbdl import {KINDS[kind]}")
    for entry in own_entries(kind):
        body += unit(entry)
    if kind in ALSO:
        taken = {name for entry in own_entries(kind) for name in names_of(entry)}
        also = {name for entry in own_entries(ALSO[kind]) for name in names_of(entry)} - taken
        body += [f"from nbdl.{ALSO[kind]} import {name} as {name}" for name in sorted(also)]
    body.append(f"\ndef get(given: Any, where: str = ...) -> {KINDS[kind]}: ...")
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
    imports = ["from nbdl.namespace import Dataset"]
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


def stubs() -> dict[Path, str]:
    """Every stub by file."""
    made = {Path("layers/__init__.pyi"): stub("layers"), Path("layers/core.pyi"): core()}
    for kind in KINDS:
        if kind != "layers":
            made[Path(f"{kind}.pyi")] = stub(kind)
    made[Path("datasets.pyi")] = datasets()
    return made


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    parser.add_argument("--folder", type=Path, default=PACKAGE, help="the package's folder")
    options = parser.parse_args()
    registry.load()
    if registry.broken:
        raise SystemExit("\n".join(f"broken plugin: {one}" for one in registry.broken))
    stale = []
    for relative, text in stubs().items():
        path = options.folder / relative
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(relative))
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for name in stale:
        print(f"nbdl/{name} is stale; run python scripts/docs.py" if options.check else f"wrote nbdl/{name}")
    return int(bool(stale) and options.check)


if __name__ == "__main__":
    raise SystemExit(main())
