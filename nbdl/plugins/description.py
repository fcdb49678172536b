"""What there is to say about a registered unit: its signature, formula, arguments, source; from its code alone."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.plugins.docstrings import Docstring, parse_docstring
from nbdl.plugins.options import OPTIONS
from nbdl.units.constructor import lacking

if TYPE_CHECKING:
    import click

    from nbdl.units.entry import Entry, Owner

# Options of a registration that say how a unit is tested, not what it is; "targets" says both.
FOR_TESTS = {option.name for option in OPTIONS if option.for_tests} - {"targets"}

STARS: dict[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


@dataclass(frozen=True)
class Argument:
    """One argument, as text.

    Attributes:
        name: with its stars, if it has any; of a command's option its spellings.
        annotation: as it is written, "" if there is none.
        default: as it is written, "" if the argument is required.
        text: what the docstring says.
        common: whether every unit of the kind takes it.
    """

    name: str
    annotation: str
    default: str
    keyword_only: bool = False
    text: str = ""
    common: bool = False

    def __str__(self) -> str:
        stated = f"{self.name}: {self.annotation}" if self.annotation else self.name
        if not self.default:
            return stated
        return f"{stated} = {self.default}" if self.annotation else f"{stated}={self.default}"


@dataclass(frozen=True)
class Function:
    """A scalar function that a unit is made of: its role, such as "f" or "df", its signature and where it is."""

    role: str
    signature: str
    file: str
    line: int


@dataclass(frozen=True)
class Description:
    """One registered unit, as text.

    Attributes:
        signature: exact, with what every unit of the kind takes; of a command, its line of usage.
        raises: pairs of an error's name and when it is raised.
        facts: pairs of a name and what the registration says under it: suffixes, default settings, ...
        file: "" where there is none, as for what was typed in a session.
        functions: of a unit made of scalar functions, these.
    """

    kind: str
    name: str
    aliases: tuple[str, ...]
    owner: Owner
    module: str
    signature: str
    summary: str
    formula: str = ""
    arguments: tuple[Argument, ...] = ()
    raises: tuple[tuple[str, str], ...] = ()
    returns: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int = 0
    functions: tuple[Function, ...] = ()


def describe(entry: Entry) -> Description:
    """Describe a registered unit.

    Raises:
        PluginError: it is a command that cannot be imported.
    """
    if entry.kind == "commands":
        return _described_command(entry)
    target, doc = entry.target, parse_docstring(own_docstring(entry.target))
    stated = str(entry.options.get("description", ""))  # what a function returns comes after what it stands for
    notes = [doc.summary, *doc.notes] if stated and doc.summary else doc.notes
    functions = tuple(described_functions(target))
    file, line = (functions[0].file, functions[0].line) if functions else place_of(target)
    return Description(
        entry.kind,
        entry.name,
        entry.aliases,
        entry.owner,
        entry.module,
        signature=signature_of(target, entry.name if isinstance(target, type) else ""),
        summary=stated or doc.summary,
        formula=doc.formula,
        arguments=tuple(_explained(target, doc)),
        raises=tuple(doc.raises.items()),
        returns=doc.returns,
        source=doc.source,
        notes=tuple(notes),
        examples=tuple(doc.examples),
        facts=tuple(_facts(entry)),
        file=file,
        line=line,
        functions=functions,
    )


def summary_of(entry: Entry) -> str:
    """One line on a unit, without importing anything: what its registration says, else its docstring's first lines."""
    stated = entry.options.get("description") or entry.options.get("help")
    return str(stated or parse_docstring(own_docstring(entry.target)).summary)


# -- signatures ---------------------------------------------------------------------------------------------


def arguments_of(target: Callable[..., Any]) -> list[Argument]:
    """The arguments of a function, or of a class's constructor without self; none where there is no signature."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        Argument(
            STARS.get(parameter.kind, "") + parameter.name,
            annotation_text(parameter.annotation),
            "" if parameter.default is parameter.empty else default_text(parameter.default),
            parameter.kind is parameter.KEYWORD_ONLY,
        )
        for parameter in parameters
    ]


def signature_of(target: Callable[..., Any], name: str = "") -> str:
    """The exact signature as one line of text; of a function with what it returns.

    >>> signature_of(sorted, "in_order")
    'in_order(iterable, /, *, key=None, reverse=False)'
    """
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return f"{name or target_name(target)}(...)"
    shown = []
    arguments = zip(arguments_of(target), signature.parameters.values(), strict=True)
    positional_only = starred = False
    for argument, parameter in arguments:
        if positional_only and parameter.kind is not parameter.POSITIONAL_ONLY:
            shown.append("/")
        positional_only = parameter.kind is parameter.POSITIONAL_ONLY
        if argument.keyword_only and not starred:
            shown.append("*")
        starred = starred or argument.keyword_only or parameter.kind is parameter.VAR_POSITIONAL
        shown.append(str(argument))
    if positional_only:
        shown.append("/")
    returned = "" if isinstance(target, type) else annotation_text(signature.return_annotation)
    return f"{name or target_name(target)}({', '.join(shown)})" + (f" -> {returned}" if returned else "")


def target_name(target: Any) -> str:
    """What a class, a function or a callable object is called in its source."""
    return getattr(target, "__name__", type(target).__name__)


def annotation_text(annotation: Any) -> str:
    """An annotation as it is written in the source; "" for none. The range of a `Factor` is told in words."""
    if annotation is inspect.Signature.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return "float" if text == "Factor" else text


def default_text(value: Any) -> str:
    """A default as it is written in the source, "..." where that has no short form.

    >>> default_text("zeros"), default_text(1e-7), default_text(object())
    ('"zeros"', '1e-07', '...')
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, type) or inspect.isroutine(value):
        return target_name(value)
    text = repr(value)
    return "..." if text.startswith("<") else text


# -- what the docstrings say --------------------------------------------------------------------------------


def own_docstring(target: Any) -> str:
    """A docstring of the author's own: a class does not inherit that of a base class of nbdl."""
    if not isinstance(target, type):
        return (inspect.getdoc(target) or "") if callable(target) else ""
    if shares_its_module(target):
        return ""
    return next((inspect.cleandoc(one.__doc__) for one in _own_bases(target) if one.__doc__), "")


def shares_its_module(target: type) -> bool:
    """Whether a unit of functions without docstrings has that of a module which registers other units, too."""
    from nbdl.units.registry import registry

    first = next(iter(getattr(target, "functions", ())), None)
    if first is None or first.__doc__ or target.__doc__ != inspect.getdoc(inspect.getmodule(first)):
        return False
    return any(
        one.target is not target and any(function.__module__ == first.__module__ for function in functions)
        for one in registry.entries()
        if (functions := getattr(one.target, "functions", ())[:1])
    )


def _own_bases(target: type) -> list[type]:
    """The class and those it inherits from, down to what nbdl or Python itself offers."""
    return [one for one in target.__mro__ if one is not object and not _of_the_core(one)]


def _of_the_core(one: type) -> bool:
    return one.__module__.partition(".")[0] == __name__.partition(".")[0]


def _explained(target: Any, doc: Docstring) -> Iterator[Argument]:
    """The arguments with their texts: of the unit's own docstring, else of a base class's."""
    bases = target.__mro__[1:] if isinstance(target, type) else ()
    inherited = [parse_docstring(one.__doc__) for one in bases if one is not object and one.__doc__]
    own = own_arguments(target)
    without_use = {name: f"Keras's, for its place: {instead}." for name, instead in lacking(target).items()}
    for argument in arguments_of(target):
        name = argument.name.lstrip("*")
        yield replace(
            argument,
            annotation=argument.annotation or doc.types.get(name, ""),
            text=next((text for one in (doc, *inherited) if (text := one.text_of(name))), without_use.get(name, "")),
            common=name not in own and name not in without_use,
        )


def own_arguments(target: Any) -> set[str]:
    """Names of the arguments that are not those of every unit of the kind."""
    if not isinstance(target, type):
        return {argument.name.lstrip("*") for argument in arguments_of(target)}
    written = next(one for one in target.__mro__ if "__init__" in vars(one))
    init = inspect.unwrap(vars(written)["__init__"])
    return set() if _of_the_core(written) or written is object else set(inspect.signature(init).parameters)


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    """What the registration says about the unit, and which formulas it shares with others."""
    for name, value in entry.options.items():
        if name not in FOR_TESTS and name not in ("pairs", "description"):
            yield name.replace("_", " "), _written(value)
    pairs = getattr(entry.target, "pairs", {})
    if pairs:
        yield "one formula with", ", ".join(pairs)
    for check, reason in entry.options.get("expected_failures", {}).items():
        yield "known to fail", f"{check}: {reason}"


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_written(one)}" for key, one in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(map(_written, value))
    return value if isinstance(value, str) else default_text(value)


# -- where it is --------------------------------------------------------------------------------------------


def place_of(target: Any) -> tuple[str, int]:
    """File and line of a class or function; "" and 0 for what has no file."""
    try:
        while hasattr(target, "__wrapped__"):
            target = target.__wrapped__
        if hasattr(target, "__code__"):
            file, line = target.__code__.co_filename, target.__code__.co_firstlineno
        else:
            target = target if isinstance(target, type) else type(target)
            file, line = str(inspect.getsourcefile(target)), inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        return "", 0
    return (file, line) if Path(file).is_file() else ("", 0)


def described_functions(target: Any) -> Iterator[Function]:
    """The scalar functions that a unit's class was made of, if it was."""
    from nbdl.units.elementwise import ELEMENTWISE

    roles = next((names for base, names in ELEMENTWISE.values() if _is_made_of(target, base)), ())
    for (role, _), function in zip(roles, getattr(target, "functions", ()), strict=False):
        yield Function(role, signature_of(function, role), *place_of(function))


def _is_made_of(target: Any, base: type) -> bool:
    return isinstance(target, type) and issubclass(target, base)


# -- commands -----------------------------------------------------------------------------------------------


def _described_command(entry: Entry) -> Description:
    import click

    from nbdl.plugins.commands import PluginCommand

    command = entry.target
    if not isinstance(command, click.Command):
        command = PluginCommand(entry.name, str(entry.target), str(entry.owner), "").command()
    context = click.Context(command, info_name=f"nbdl {entry.name}")
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    summary, _, rest = (command.help or "").replace("\b", "").partition("\n\n")
    file, line = place_of(command.callback)
    return Description(
        entry.kind,
        entry.name,
        entry.aliases,
        entry.owner,
        entry.module,
        signature=usage,
        summary=" ".join(summary.split()) or str(entry.options.get("help", "")),
        arguments=tuple(_parameter(parameter, context) for parameter in command.params),
        notes=tuple(inspect.cleandoc("\n" + one) for one in rest.split("\n\n") if one.strip()),
        file=file,
        line=line,
    )


def _parameter(parameter: click.Parameter, context: click.Context) -> Argument:
    import click

    if not isinstance(parameter, click.Option):
        default = "" if parameter.required else "none"
        return Argument(parameter.make_metavar(context), parameter.type.name, default)
    shown = parameter.get_help_extra(context).get("default", "")
    name = ", ".join([*parameter.opts, *parameter.secondary_opts])
    kind = "flag" if parameter.is_flag else parameter.make_metavar(context)
    return Argument(name, kind, "" if parameter.required else shown or "none", True, parameter.help or "")
