"""Look up members of a catalogue by name: built-in ones, those of installed packages, those that a problem hands over.

An extension is an object with a `name`: a searcher, a model family, a drift test, ... (`KINDS`). It comes from

    its room's catalogue          a line in the room's own table
    an installed package          an entry point in the kind's group, called like the extension
    a problem                     the object itself: Problem(families=("lightgbm", MyFamily()))

Installed packages are read only for a name that is not built in, and a package is imported only for its own name. What
a problem hands over is known to this process from `hand_over` on (`load_problem` calls it); another process gets it by
`headrace.problems.catalogue.restore`. A name that two sources give is an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from headrace.core.errors import DeclarationError, HeadraceError
from headrace.core.extension_code import code_digest

T = TypeVar("T")

#: Kind of extension -> its group of entry points.
KINDS = {
    "primitive": "headrace.primitives",
    "searcher": "headrace.searchers",
    "family": "headrace.families",
    "drift_test": "headrace.drift_tests",
    "alert_channel": "headrace.alert_channels",
    "engine": "headrace.engines",
    "source": "headrace.sources",
}


@dataclass(frozen=True, kw_only=True)
class Handed:
    """An object that a problem hands over.

    Args:
        kind: one of `KINDS`.
        name: the object's own name.
        value: the object.
        file: the problem file that hands it over; None for a problem that was built in this process.
    """

    kind: str
    name: str
    value: Any = field(compare=False)
    file: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the object of a problem file is left to the file, whose module cannot be imported."""
        return {**self.__dict__, "value": None if self.file is not None else self.value}


_HANDED: dict[tuple[str, str], Handed] = {}


def hand_over(handed: Iterable[Handed]) -> None:
    """Make the objects of a problem known to this process.

    Raises:
        DeclarationError: where another problem handed over other code under the same name.
    """
    for one in handed:
        known = _HANDED.get((one.kind, one.name))
        if known is not None and known.file != one.file and code_digest(known.value) != code_digest(one.value):
            raise DeclarationError(
                f"two problems hand over different code as {one.kind} {one.name!r}",
                where=str(one.file or "problem"),
                found=[str(known.file or "a problem of this process")],
                fix="give one of them another name",
            )
        _HANDED[one.kind, one.name] = one


def is_known(one: Handed) -> bool:
    """Whether this process knows the object of that kind, name and file."""
    return _HANDED.get((one.kind, one.name)) == one


class Catalogue(Mapping[str, T], Generic[T]):
    """The members of one kind by name. Iteration gives the built-in ones first, then those of problems and packages."""

    def __init__(self, kind: str, built_in: Mapping[str, T]) -> None:
        self.kind = kind
        self.built_in = built_in

    def __getitem__(self, name: str) -> T:
        if name in self.built_in:
            return self.built_in[name]
        handed = _HANDED.get((self.kind, name))
        if handed is not None:
            value: T = handed.value
            return value
        if name in _installed(self.kind):
            loaded: T = _load(self.kind, name)
            return loaded
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        handed = (name for kind, name in _HANDED if kind == self.kind)
        return iter(dict.fromkeys((*self.built_in, *handed, *_installed(self.kind))))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def named(self, name: str, *, where: str = "", unknown: type[HeadraceError] = DeclarationError) -> T:
        """The member of that name.

        Args:
            name: of a member.
            where: what names it, for the message.
            unknown: the error to raise for an unknown name.

        Raises:
            DeclarationError: for a name that two sources give, or a package that cannot be loaded.
        """
        sources = [
            *(["Headrace itself"] if name in self.built_in else []),
            *([str(_HANDED[self.kind, name].file or "the problem")] if (self.kind, name) in _HANDED else []),
            *(f"package {_package(point)}" for point in _installed(self.kind).get(name, ())),
        ]
        label = self.kind.replace("_", " ")
        if not sources:
            raise unknown(
                f"no {label} {name!r}",
                where=where,
                found=list(self),
                fix=f"name one of these, hand the object over, or install a package with an entry point {name!r} in "
                f"the group {KINDS[self.kind]}",
            )
        if len(sources) > 1:
            raise DeclarationError(
                f"two {label}s are called {name!r}", where=where, found=sources, fix="rename one, or remove a package"
            )
        return self[name]

    def origin(self, name: str) -> Path | str | None:
        """Where an extension comes from: a problem file, or `module:attribute` of a package; None for another one."""
        if (self.kind, name) in _HANDED:
            return _HANDED[self.kind, name].file
        points = _installed(self.kind).get(name, ())
        return points[0].value if points else None

    def code(self, name: str) -> str:
        """A digest of an extension's code, for a stage's key; "" for a built-in member."""
        return "" if name in self.built_in else code_digest(self[name])


def names_of(owner: Any, field_name: str, kind: str, *, where: str) -> None:
    """In a frozen declaration, replace the objects of a field by their names, and add them to its `handed`.

    Raises:
        DeclarationError: for one text in place of a list, or an object without a name.
    """
    given = getattr(owner, field_name)
    if given is None:
        return
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DeclarationError(f"{field_name}={given!r} is no list", where=where, fix="give a list, with brackets")
    called, handed = [], []
    for item in given:
        if isinstance(item, str):
            called.append(item)
            continue
        value = _made(kind, item)
        for name in _checked_names(value, field_name, where):
            called.append(name)
            handed.append(Handed(kind=kind, name=name, value=value))
    object.__setattr__(owner, field_name, tuple(dict.fromkeys(called)))
    object.__setattr__(owner, "handed", (*owner.handed, *handed))


def name_of(owner: Any, field_name: str, kind: str, *, where: str) -> None:
    """The same for a field that holds one name or object."""
    given = getattr(owner, field_name)
    if isinstance(given, str):
        return
    (name,) = _checked_names(given, field_name, where)
    object.__setattr__(owner, field_name, name)
    object.__setattr__(owner, "handed", (*owner.handed, Handed(kind=kind, name=name, value=given)))


def _made(kind: str, value: Any) -> Any:
    """The extension of a class that is made without arguments; a searcher's class is what a catalogue holds itself."""
    return value() if inspect.isclass(value) and kind != "searcher" else value


def names(extension: Any) -> tuple[str, ...]:
    """What an extension is called by: its `name`, or the `names` of its members where it has several."""
    several = getattr(extension, "names", None)
    return several if isinstance(several, tuple) else (getattr(extension, "name", None) or "",)


def _checked_names(item: Any, field_name: str, where: str) -> tuple[str, ...]:
    found = names(item)
    if not all(isinstance(name, str) and name for name in found):
        raise DeclarationError(
            f"{field_name}: {item!r} has no name", where=where, fix="give it an attribute `name`, a text"
        )
    return found


@cache
def _installed(kind: str) -> Mapping[str, tuple[EntryPoint, ...]]:
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=KINDS[kind]):
        known = found.get(point.name, ())
        if all(point.value != other.value for other in known):  # a package may be found on two folders of sys.path
            found[point.name] = (*known, point)
    return found


def _load(kind: str, name: str) -> Any:
    point = _installed(kind)[name][0]
    where = f"package {_package(point)}, entry point {name} = {point.value}"
    try:
        value = _made(kind, point.load())
    except Exception as error:
        raise DeclarationError(
            f"cannot be loaded: {type(error).__name__}: {error}", where=where, fix="repair or remove the package"
        ) from error
    if name not in names(value):
        raise DeclarationError(
            f"its object is called {', '.join(map(repr, names(value)))}", where=where, fix="give both the same name"
        )
    return value


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
