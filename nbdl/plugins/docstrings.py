"""Docstrings taken apart: a summary, a formula, arguments, errors, a source, examples, and the rest.

Units of nbdl write `Formula: ...` and `Source: ...` on lines of their own and Google's `Args:` and `Raises:`; sections
underlined as numpydoc's, and `:param x:` fields, are understood too. What is not understood is kept as a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import cleandoc

# Section titles, without case, by the part of the docstring that they belong to.
PARTS: dict[str, str] = {
    title: part
    for part, titles in {
        "formula": ("formula", "formulas", "math"),
        "source": ("source", "sources", "reference", "references"),
        "arguments": ("args", "arguments", "parameters", "params", "other parameters", "keyword args"),
        "raises": ("raises", "errors", "exceptions"),
        "returns": ("returns", "return", "yields"),
        "examples": ("example", "examples"),
        "notes": ("note", "notes"),
    }.items()
    for title in titles
}
OPENING = re.compile(r"(?P<title>[A-Za-z][\w ,-]*):$")
INLINE = re.compile(
    r"(?P<title>[Ff]ormula|[Ss]ources?|[Rr]eferences?|[Rr]eturns?|[Nn]otes?)(, (?P<of>[^:]+))?: +(?P<text>.+)"
)
RUN_ON = re.compile(r"(?<=[.;)]) +((?:Formula|Source): )")  # a whole docstring on one line
UNDERLINE = re.compile(r"[-=~]{3,}$")
FIELD = re.compile(r":(?P<what>param|parameter|arg|raises?|returns?)\s*(?P<name>[^:]*):\s*(?P<text>.*)")
NAME = r"`{0,2}\*{0,2}\w[\w.]*`{0,2}"
ENTRY = re.compile(
    rf"(?P<names>{NAME}(?:\s*,\s*{NAME})*)(?:\s*\((?P<type>[^()]*(?:\([^()]*\)[^()]*)*)\))?\s*:(?P<text>.*)"
)


@dataclass
class Docstring:
    """The parts of a docstring; texts are one line each, `examples` as they are written.

    Attributes:
        arguments: text by name.
        types: what `arguments` are said to be, by name, where that is written.
        raises: text by the error's name.
        others: entries of sections with any other title, by name: attributes, arguments that a whole kind takes, ...
    """

    summary: str = ""
    formula: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    raises: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    source: str = ""
    notes: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)

    def text_of(self, name: str) -> str:
        """What is said of an argument of that name, or an empty string."""
        return self.arguments.get(name) or self.others.get(name, "")


@dataclass(frozen=True)
class Block:
    """Lines that belong together, under a title or none."""

    title: str
    lines: list[str]
    underlined: bool = False


def parse_docstring(text: str | None) -> Docstring:
    """The parts of a docstring; of None, or of text in no known form, what can be had.

    >>> parsed = parse_docstring("Cube: x times itself.\\n\\nFormula: y = x³.\\n\\nArgs:\\n    scale: of x.")
    >>> parsed.summary, parsed.formula, parsed.arguments
    ('Cube: x times itself.', 'y = x³.', {'scale': 'of x.'})
    """
    found = Docstring()
    lines = RUN_ON.sub(r"\n\n\1", cleandoc(text or "")).split("\n")
    for number, block in enumerate(_blocks(lines)):
        if not number and not block.title and not _is_example(block.lines):
            found.summary = _joined(block.lines)
        else:
            _take(found, block)
    return found


def _take(found: Docstring, block: Block) -> None:
    part = PARTS.get(block.title.lower(), "notes" if not block.title else "others")
    if part == "arguments":
        for name, kind, text in entries(block.lines, block.underlined):
            found.arguments[name] = text
            if kind:
                found.types[name] = kind
    elif part == "raises":
        found.raises.update({name: text for name, _, text in entries(block.lines, block.underlined)})
    elif part == "others":
        named = {name: text for name, _, text in entries(block.lines, block.underlined)}
        found.others.update(named)
        if not named:
            found.notes.append(f"{block.title}: {_joined(block.lines)}")
    elif part == "examples" or _is_example(block.lines):
        found.examples += _paragraphs(block.lines)
    elif part == "notes":
        found.notes += [_joined(one.split("\n")) for one in _paragraphs(block.lines)]
    else:
        setattr(found, part, f"{getattr(found, part)} {_joined(block.lines)}".strip())


def _blocks(lines: list[str]) -> Iterator[Block]:
    """Sections with their titles, paragraphs without."""
    at = 0
    while at < len(lines):
        line, after = lines[at].rstrip(), lines[at + 1].strip() if at + 1 < len(lines) else ""
        start = at
        if not line:
            at += 1
        elif UNDERLINE.match(after):
            at = _section_end(lines, at + 2)
            yield Block(line.strip(), lines[start + 2 : at], underlined=True)
        elif (opening := OPENING.match(line)) and _next_is_indented(lines, at + 1):
            at = _indented_end(lines, at + 1)
            yield Block(opening["title"], lines[start + 1 : at])
        elif stated := FIELD.match(line):
            at = _paragraph_end(lines, at)
            yield _field(stated, lines[start + 1 : at])
        else:
            at = _paragraph_end(lines, at)
            inline = INLINE.match(line)
            if inline:
                of = f"{inline['of']}: " if inline["of"] else ""
                yield Block(inline["title"], [of + inline["text"], *lines[start + 1 : at]])
            else:
                yield Block("", lines[start:at])


def _field(stated: re.Match[str], more: list[str]) -> Block:
    """A `:param float x: text` as a section of one entry."""
    name = {"r": "Raises", "p": "Args", "a": "Args"}[stated["what"][0]] if stated["name"].strip() else "Returns"
    words = stated["name"].split()
    if name == "Returns":
        return Block(name, [stated["text"], *more])
    kind = f" ({' '.join(words[:-1])})" if len(words) > 1 else ""
    return Block(name, [f"{words[-1]}{kind}: {stated['text']}", *(f"    {one.strip()}" for one in more)])


def _paragraph_end(lines: list[str], start: int) -> int:
    """Where the paragraph that begins at a line ends: before a blank line, or before what opens another block."""
    example = lines[start].startswith(">>>")
    for at in range(start + 1, len(lines)):
        line = lines[at].rstrip()
        opens = FIELD.match(line) or INLINE.match(line) or line.startswith(">>>")
        if not line or (not example and (opens or (OPENING.match(line) and _next_is_indented(lines, at + 1)))):
            return at
    return len(lines)


def _next_is_indented(lines: list[str], at: int) -> bool:
    following = next((line for line in lines[at:] if line.strip()), "")
    return following[:1].isspace()


def _indented_end(lines: list[str], at: int) -> int:
    while at < len(lines) and (not lines[at].strip() or lines[at][:1].isspace()):
        at += 1
    return at


def _section_end(lines: list[str], at: int) -> int:
    """Where an underlined section ends: before the next."""
    while at < len(lines) and not (
        at + 1 < len(lines) and lines[at].strip() and UNDERLINE.match(lines[at + 1].strip())
    ):
        at += 1
    return at


def entries(lines: list[str], underlined: bool = False) -> Iterator[tuple[str, str, str]]:
    """Name, type and text of each entry of a section: `name: text`, `name (type): text`; underlined, `name : type`.

    Entries of several names are yielded once for each.
    """
    lines = cleandoc("\n" + "\n".join(lines)).split("\n")
    heads = [number for number, line in enumerate(lines) if line and not line[0].isspace()]
    for start, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        head, body = lines[start], _joined(lines[start + 1 : end])
        match = ENTRY.match(head)
        if match is None:
            if underlined and re.fullmatch(NAME, head.strip()):
                yield head.strip("`* "), "", body
            continue
        stated = match["text"].strip()
        kind, text = (stated, body) if underlined else (match["type"] or "", f"{stated} {body}".strip())
        for name in match["names"].split(","):
            yield name.strip().strip("`*"), kind, text


def _is_example(lines: list[str]) -> bool:
    return bool(lines) and lines[0].lstrip().startswith(">>>")


def _paragraphs(lines: list[str]) -> list[str]:
    return [one for one in re.split(r"\n\s*\n", cleandoc("\n" + "\n".join(lines))) if one.strip()]


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())
