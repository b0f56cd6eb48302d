"""One root error. The message says what, where, what else was there, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.core.redact import redact


class HeadraceError(Exception):
    """Anything Headrace refuses, with the facts as attributes.

    what: the fault in one clause. where: file, table, column or setting it was found in.
    found: what else was there (names that do exist, values seen). fix: what to do about it.
    Passwords and tokens of addresses are masked in all of them.
    """

    #: Of a command that ends with it.
    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        found: Iterable[object] = (),
        fix: str = "",
        **facts: Any,
    ) -> None:
        self.what = redact(what)
        self.where = redact(where)
        self.found = tuple(redact(item) if isinstance(item, str) else item for item in found)
        self.fix = redact(fix)
        self.facts = facts
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.found:
            listed = ", ".join(str(item) for item in self.found[:20])
            more = f" and {len(self.found) - 20} more" if len(self.found) > 20 else ""
            parts.append(f"found: {listed}{more}")
        if self.fix:
            parts.append(self.fix)
        return ". ".join(part.rstrip(".") for part in parts) + "."


class DeclarationError(HeadraceError):
    """A problem, table, relationship or setting is declared wrongly."""


class DataError(HeadraceError):
    """Rows do not fit their declaration: type, key, time, label."""


class NotFoundError(HeadraceError):
    """Something named does not exist: a problem, a version, an entity key, a file."""


class ConflictError(HeadraceError):
    """Somebody else changed the state first, or holds the lock."""


class CorruptError(HeadraceError):
    """Stored bytes do not match their manifest."""


class UnavailableError(HeadraceError):
    """A service or port that is needed cannot be had now."""
