"""A new plugin package: what it is called, and how its files come to lie in a folder; see `nbdl plugins new`.

What is in it, a template says: a plugin's function, registered by the hook `register_templates`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nbdl.errors import ConfigError, PluginError
from nbdl.storage.outputs import check_folder

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([_-][A-Za-z0-9]+)*")
NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # within MyUnit, RMSUnit


@dataclass(frozen=True)
class Request:
    """What a template is asked for.

    Attributes:
        unit: the unit's name, "my_unit".
        class_name: the same as a class is spelt, "MyUnit".
        kind: what the package offers one of, "layer".
        author: who goes into the licence; may be empty.

    >>> request = named("MyUnit", "layer")
    >>> request.unit, request.class_name, request.distribution, request.module
    ('my_unit', 'MyUnit', 'nbdl-my-unit', 'nbdl_my_unit')
    """

    unit: str
    class_name: str
    kind: str
    author: str = ""

    @property
    def distribution(self) -> str:
        """What pip calls the package."""
        return f"nbdl-{self.unit.replace('_', '-')}"

    @property
    def module(self) -> str:
        """What Python imports."""
        return f"nbdl_{self.unit}"

    def filled(self, text: str) -> str:
        """A text that was written for a unit called my_unit, for this one.

        Args:
            text: in it are replaced: my_unit, my-unit, MyUnit, my_kind, THE_AUTHOR, THE_YEAR, and nbdl>=0, the
                requirement.

        >>> named("double", "activation").filled("pip install nbdl-my-unit  # offers my_unit, an my_kind")
        'pip install nbdl-double  # offers double, an activation'
        """
        words = {
            "my_unit": self.unit,
            "my-unit": self.unit.replace("_", "-"),
            "MyUnit": self.class_name,
            "my_kind": self.kind,
            "THE_AUTHOR": self.author or f"The developers of {self.distribution}",
            "THE_YEAR": str(time.localtime().tm_year),
            "nbdl>=0": requirement(),
        }
        return re.sub("|".join(words), lambda found: words[found[0]], text)


def named(name: str, kind: str, author: str = "") -> Request:
    """A request by the name that a user gives.

    Args:
        name: "my_unit", "MyUnit", "my-unit" or "nbdl-my-unit".
        kind: "layer", "loss", ...
        author: of the package.

    Raises:
        ConfigError: it is no name that Python can import.
    """
    bare = re.sub(r"^nbdl[-_]", "", name)
    if not NAME.fullmatch(bare):
        raise ConfigError(f"{name!r} is no name for a unit: letters, digits and _, a letter first, as in my_{kind}")
    if not author.isprintable() or '"' in author or "\\" in author:
        raise ConfigError(f"{author!r} is no name for an author: it is written between quotes")
    words = bare.replace("-", "_")
    unit = NEW_WORD.sub("_", words).lower()
    class_name = "".join(word[0].upper() + word[1:] for word in words.split("_"))
    if keyword.iskeyword(unit) or keyword.iskeyword(class_name):
        raise ConfigError(f"{name!r} is a word of Python's; choose another name, my_{unit} for instance")
    return Request(unit, class_name, kind, author)


def requirement() -> str:
    """The versions of nbdl that a package made today goes with: this one, up to the next that may break it."""
    major, minor = (int(number) for number in re.findall(r"\d+", importlib.metadata.version("nbdl"))[:2])
    return f"nbdl>={major}.{minor},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def refuse_taken(request: Request) -> None:
    """Refuse a name that a registered unit of that kind or an installed module has.

    Raises:
        ConfigError: it has; the message says whose it is.
    """
    from nbdl.units.registry import kind_named, registry

    entry = registry.find(kind_named(request.kind), request.unit)
    if entry is not None:
        raise ConfigError(f"there is the {request.kind} {entry.name!r} of {entry.owner} already; choose another name")
    spec = importlib.util.find_spec(request.module)
    if spec is not None:
        raise ConfigError(f"there is a module {request.module!r} already ({spec.origin}); choose another name")


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write a package: all of it, or nothing.

    Args:
        files: texts by relative name.
        folder: made if it is not there.

    Raises:
        ConfigError: the folder is not empty, is a file, or cannot be made.
        PluginError: a file would lie outside of the folder.
    """
    for name in files:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise PluginError(f"the template writes {name!r}, which is no place in the package")
    folder = folder.expanduser().resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not empty; give another place by -o FOLDER")
    check_folder(folder.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        whole = Path(scratch, "whole")
        for name, text in files.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if not folder.exists():
            whole.rename(folder)
            return
        for child in whole.iterdir():  # it may be somebody's working folder, which a rename would take away
            child.rename(folder / child.name)
