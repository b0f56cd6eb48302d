"""Say in one line what is wrong with a problem file that Python refuses: unknown fields and names."""

from __future__ import annotations

import builtins
import dataclasses
import difflib
import inspect
import re
from collections.abc import Iterable
from typing import Any

from headrace import schema
from headrace.core.errors import DeclarationError

_UNKNOWN_FIELD = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_ABSENT_FIELD = re.compile(r"(\w+)(?:\.__init__)?\(\) missing \d+ required [\w-]+ arguments?: (.*)")
_POSITIONAL = re.compile(r"(\w+)(?:\.__init__)?\(\) takes .* positional arguments? but")
_UNKNOWN_NAME = re.compile(r"name '(\w+)' is not defined|cannot import name '(\w+)' from 'headrace")
_INTERNAL = ("path", "handed", "joined")


def declaration_error(error: Exception, where: str) -> DeclarationError:
    """Return the error to show for one that running a problem file raised."""
    text = str(error)
    if isinstance(error, TypeError) and (match := _UNKNOWN_FIELD.search(text)):
        owner, name = match.groups()
        fields = field_names(owner)
        similar = _similar(name, fields)
        return DeclarationError(f"{owner} has no field {name!r}{similar}", where=where, found=() if similar else fields)
    if isinstance(error, TypeError) and (match := _ABSENT_FIELD.search(text)):
        owner, names = match.groups()
        return DeclarationError(f"{owner} lacks {names}", where=where, fix="give a value to each of them")
    if isinstance(error, TypeError) and (match := _POSITIONAL.search(text)):
        fix = "write the name of each field, as in name='orders'"
        return DeclarationError(f"{match.group(1)} takes its fields by name", where=where, fix=fix)
    if match := _UNKNOWN_NAME.search(text):
        name = next(item for item in match.groups() if item)
        known = [*schema.__all__, *dir(builtins)]
        return DeclarationError(f"no name {name!r}{_similar(name, known)}", where=where, fix=_import_of(name))
    return DeclarationError(f"{type(error).__name__}: {text}", where=where, fix="the file must run without an error")


def field_names(owner: str) -> list[str]:
    """Fields of a class of `headrace.schema`, or parameters of a function of it; none for another name."""
    found: Any = getattr(schema, owner, None)
    if dataclasses.is_dataclass(found):
        return [field.name for field in dataclasses.fields(found) if field.name not in _INTERNAL]
    return list(inspect.signature(found).parameters) if callable(found) else []


def _similar(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _import_of(name: str) -> str:
    return f"from headrace.schema import {name}" if name in schema.__all__ else "correct the name, or import it"
