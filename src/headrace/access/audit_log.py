"""The audit log: who changed what, when and with what result, in lines that form a chain of hashes, for later proof.

`access/audit.jsonl` below the home gets one line for each change of keys, promotion, roll back, change of settings,
failed authentication and action on the page. Each line holds the hash of the one before it (Schneier and Kelsey, 1999,
without their evolving keys), so a changed, removed or inserted line breaks the chain. Whoever can write the file can
also remove its last lines or compute the whole chain anew. Against the first, `audit.head` holds the last number and
hash, and `headrace audit-log verify --head` compares with a hash that was noted elsewhere. Against the second, hashes
are keyed where `HEADRACE_AUDIT_KEY` is set.

A line never holds a secret: keys stand there by name and id, addresses are masked.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import read_json, write_json
from headrace.core.redact import redact

#: What the first line names as the hash before it.
GENESIS = "0" * 64
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One line of the log.

    Attributes:
        number: 1 for the first line.
        at: UTC, ISO 8601.
        who: User of the machine, or key and address.
        action: Such as `key.create`, `champion.promote`, `access.refused`.
        what: What it was done to: key, problem, path.
        result: Such as `ok`, `refused`, or a status of HTTP.
        facts: Further facts.
        previous: Hash of the line before.
        hash: Hash of this line and `previous`.
    """

    number: int
    at: str
    who: str
    action: str
    what: str
    result: str
    facts: Mapping[str, Any]
    previous: str
    hash: str


class AuditLog:
    """The audit log of a home. Safe for several processes of one machine.

    Args:
        root: Home folder.
        key: Secret that keys the hashes; "" for hashes that anybody can compute.
    """

    def __init__(self, root: Path, key: str = "") -> None:
        self.path = root / "access" / "audit.jsonl"
        self._head = root / "access" / "audit.head"
        self._key = key.encode()

    def append(
        self,
        who: str,
        action: str,
        what: str,
        result: str = "ok",
        *,
        at_us: int,
        facts: Mapping[str, Any] | None = None,
    ) -> AuditEntry:
        """Write one line durably.

        Args:
            who: User, or key and address.
            action: What was done.
            what: To what.
            result: How it ended.
            at_us: Wall clock, microseconds UTC.
            facts: Further facts, as JSON has them; no secrets.

        Raises:
            CorruptError: The last line is damaged.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(self.path.with_name(".audit.lock")):
            last, recorded = self._last(), self._recorded_head()
            number, previous = (last.number, last.hash) if last else (0, GENESIS)
            if recorded is not None and recorded[0] > number:
                number, previous = recorded  # lines were removed: the gap stays visible
            at = datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds")
            masked = {name: redact(value) if isinstance(value, str) else value for name, value in (facts or {}).items()}
            content = {
                "number": number + 1, "at": at, "who": redact(who), "action": action, "what": redact(what),
                "result": result, "facts": masked, "previous": previous,
            }  # fmt: skip
            entry = AuditEntry(**content, hash=self._hash(content))  # type: ignore[arg-type]
            self._write(entry)
        return entry

    def entries(self) -> Iterator[AuditEntry]:
        """Yield all lines, oldest first, without checking the chain; none where there is no log.

        Raises:
            CorruptError: A line is no entry.
        """
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="replace") as lines:
            for place, line in enumerate(lines, start=1):
                yield self._parse(line, f"{self.path}, line {place}")

    def verify(self, head: str | None = None) -> tuple[int, str]:
        """Check the whole chain.

        Args:
            head: A hash that was noted earlier; it must be that of one of the lines.

        Returns:
            The number of lines, and the hash of the last one, to note elsewhere.

        Raises:
            CorruptError: A line was changed, removed or inserted; the message names the first.
        """
        previous, number, known, recorded = GENESIS, 0, head is None, self._recorded_head()
        for number, entry in enumerate(self.entries(), start=1):
            content = {name: value for name, value in vars(entry).items() if name != "hash"}
            if entry.number != number or entry.previous != previous:
                raise self._broken(number, "is not the line that followed the one before it")
            if not hmac.compare_digest(self._hash(content), entry.hash):
                raise self._broken(number, "was changed, or was written with another HEADRACE_AUDIT_KEY")
            if recorded is not None and recorded[0] == number and recorded[1] != entry.hash:
                raise self._broken(number, "is not the line that was written")
            previous = entry.hash
            known = known or entry.hash == head
        if recorded is not None and recorded[0] > number:
            raise self._broken(number + 1, f"is missing: {recorded[0]} lines were written")
        if not known:
            raise CorruptError("no line has the hash that was noted", where=str(self.path), found=[str(head)])
        return number, previous

    def _last(self) -> AuditEntry | None:
        """Return the last line; what a crash left of an unfinished one is cut off."""
        try:
            with self.path.open("rb+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                tail = file.read()
                whole = tail[: tail.rfind(b"\n") + 1]
                if len(whole) < len(tail):
                    file.truncate(size - len(tail) + len(whole))
        except FileNotFoundError:
            return None
        lines = whole.splitlines()
        return self._parse(lines[-1].decode(errors="replace"), f"{self.path}, last line") if lines else None

    def _write(self, entry: AuditEntry) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, (json.dumps(vars(entry), ensure_ascii=False, sort_keys=True) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        write_json(self._head, {"number": entry.number, "hash": entry.hash})

    def _hash(self, content: Mapping[str, Any]) -> str:
        text = json.dumps(content, ensure_ascii=False, sort_keys=True).encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest() if self._key else hashlib.sha256(text).hexdigest()

    def _recorded_head(self) -> tuple[int, str] | None:
        try:
            content = read_json(self._head)
            return int(content["number"]), str(content["hash"])
        except NotFoundError:
            return None
        except (KeyError, TypeError, ValueError):
            raise CorruptError("is damaged", where=str(self._head)) from None

    def _parse(self, line: str, where: str) -> AuditEntry:
        try:
            return AuditEntry(**json.loads(line))
        except (ValueError, TypeError):
            raise CorruptError("is no line of an audit log", where=where) from None

    def _broken(self, number: int, what: str) -> CorruptError:
        return CorruptError(what, where=f"{self.path}, line {number}", fix="compare with a backup")
