"""The registered units by kind and name. Look-ups need no lock: what is there is never changed, only replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nbdl.units.entry import Entry, normalise


@dataclass(frozen=True)
class _Shelf:
    """The units of one kind: by their names, and by all spellings, normalised."""

    units: dict[str, Entry] = field(default_factory=dict)
    spellings: dict[str, Entry] = field(default_factory=dict)


class Catalogue:
    """Units by kind and name; who writes holds a lock of its own."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._shelves = {kind: _Shelf() for kind in kinds}

    def find(self, kind: str, name: str) -> Entry | None:
        """The unit of that kind and name or alias, or None."""
        return self._shelves[kind].spellings.get(normalise(name))

    def entries(self, kind: str) -> list[Entry]:
        """The units of a kind, by name."""
        return [entry for _, entry in sorted(self._shelves[kind].units.items())]

    def put(self, entry: Entry) -> None:
        """Add a unit whose names are free."""
        shelf = self._shelves[entry.kind]
        spellings = {normalise(name): entry for name in (entry.name, *entry.aliases)}
        self._shelves[entry.kind] = _Shelf({**shelf.units, entry.name: entry}, {**shelf.spellings, **spellings})

    def remove(self, entry: Entry) -> None:
        """Take a unit away; nothing, if it is not there."""
        shelf = self._shelves[entry.kind]
        units = {name: one for name, one in shelf.units.items() if one is not entry}
        spellings = {name: one for name, one in shelf.spellings.items() if one is not entry}
        self._shelves[entry.kind] = _Shelf(units, spellings)

    def replace(self, old: Entry, new: Entry) -> None:
        """Put a unit in the place of another in one step."""
        shelf = self._shelves[old.kind]
        units = {name: one for name, one in shelf.units.items() if one is not old}
        spellings = {name: one for name, one in shelf.spellings.items() if one is not old}
        units[new.name] = new
        spellings |= {normalise(name): new for name in (new.name, *new.aliases)}
        self._shelves[old.kind] = _Shelf(units, spellings)
