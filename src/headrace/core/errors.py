"""One root error. The message says what, where, what else was there, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.core.redact import redact


class HeadraceError(Exception):
    """Base of all expected errors, with their facts as attributes.

    Passwords and tokens of addresses are masked in all of them.

    Attributes:
        what: The fault in one clause.
        where: File, table, column or setting.
        found: What exists instead: names, values.
        fix: What to do about it.
        facts: Further facts for programs.
    """

    #: Exit code of a command that ends with this error.
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
    """A named object does not exist: a problem, a version, an entity key, a file."""


class ConflictError(HeadraceError):
    """Another process or person changed the state first, or holds the lock."""


class CorruptError(HeadraceError):
    """Stored bytes do not match their manifest."""


class UnavailableError(HeadraceError):
    """A service, port or file that is needed is not available now."""
