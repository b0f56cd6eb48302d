"""The file of API keys: records with hashes, which commands change under a lock and servers read.

It is one JSON file, so that a deployment of several hosts can mount it as a secret that nobody there can change. A
change replaces the file atomically; servers notice it by its time stamp (`access.key_ring`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from headrace.access.keys import Key, new_key
from headrace.access.rates import Rate
from headrace.access.scopes import Scope
from headrace.core.errors import ConflictError, CorruptError, DeclarationError, NotFoundError
from headrace.core.files import read_json, write_json

T = TypeVar("T")

_VERSION = 1
_MAX_NAME = 80


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """The keys of an installation.

    Attributes:
        path: The file.
        pepper: Secret of the installation that keys the hashes; "" for none.
    """

    path: Path
    pepper: str = ""

    def records(self) -> tuple[Key, ...]:
        """Return all records, oldest first; none where there is no file.

        Raises:
            CorruptError: It is no file of keys.
        """
        try:
            content = read_json(self.path)
        except NotFoundError:
            return ()
        try:
            if content["version"] != _VERSION:
                raise ValueError(content["version"])
            return tuple(_read(record) for record in content["keys"])
        except (KeyError, TypeError, ValueError, DeclarationError):
            fix = "bring it back from a backup, or remove it and create the keys anew"
            raise CorruptError("is no file of API keys", where=str(self.path), fix=fix) from None

    def create(self, record: Key) -> tuple[Key, str]:
        """Add a key of a new name; return its record, and the key, which nothing stores.

        Raises:
            ConflictError: A key of that name is active.
            DeclarationError: The name is none.
        """
        _require_name(record.name)

        def add(keys: tuple[Key, ...]) -> tuple[tuple[Key, ...], tuple[Key, str]]:
            if _active(keys, record.name, record.created_s):
                fix = "choose another name, or `headrace keys rotate` it"
                raise ConflictError("a key of this name is active", where=f"key {record.name}", fix=fix)
            made = new_key(record, self.pepper)
            return (*keys, made[0]), made

        return self._change(add)

    def rotate(self, name: str, *, now_s: int, overlap_s: int, expires_s: int | None = None) -> tuple[Key, str]:
        """Add a key with the scopes and limits of the active one, which expires after the overlap.

        Args:
            name: Name of the key.
            now_s: Now, seconds since 1970.
            overlap_s: Seconds for which the older keys of the name stay valid.
            expires_s: When the new key expires; None for never.

        Raises:
            NotFoundError: No key of that name is active.
        """

        def replace_active(keys: tuple[Key, ...]) -> tuple[tuple[Key, ...], tuple[Key, str]]:
            active = _active(keys, name, now_s)
            if not active:
                raise _missing(keys, name)
            made = new_key(replace(active[-1], created_s=now_s, expires_s=expires_s), self.pepper)
            end = now_s + overlap_s
            ended = (replace(key, expires_s=min(end, key.expires_s or end)) if key in active else key for key in keys)
            return (*ended, made[0]), made

        return self._change(replace_active)

    def revoke(self, reference: str, *, now_s: int) -> tuple[Key, ...]:
        """Revoke the keys of a name, or the one of an id; return their records.

        Raises:
            NotFoundError: No such key is active.
        """

        def revoke(keys: tuple[Key, ...]) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
            named = [key for key in keys if reference in (key.name, key.id) and key.state(now_s) == "active"]
            if not named:
                raise _missing(keys, reference)
            revoked = tuple(replace(key, revoked_s=now_s) for key in named)
            by_id = {key.id: key for key in revoked}
            return tuple(by_id.get(key.id, key) for key in keys), revoked

        return self._change(revoke)

    def _change(self, change: Callable[[tuple[Key, ...]], tuple[tuple[Key, ...], T]]) -> T:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            keys, result = change(self.records())
            write_json(self.path, {"version": _VERSION, "keys": [_written(key) for key in keys]})
        return result


def _active(keys: tuple[Key, ...], name: str, now_s: int) -> list[Key]:
    return [key for key in keys if key.name == name and key.state(now_s) == "active"]


def _missing(keys: tuple[Key, ...], reference: str) -> NotFoundError:
    names = sorted({key.name for key in keys})
    return NotFoundError("no such key is active", where=f"key {reference}", found=names, fix="see `headrace keys list`")


def _require_name(name: str) -> None:
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        fix = f"write at most {_MAX_NAME} printable characters, such as the client's name"
        raise DeclarationError("the name cannot be used", where="key", found=[name[:_MAX_NAME]], fix=fix)


def _read(record: Mapping[str, Any]) -> Key:
    problems, rate = record["problems"], record["rate"]
    if len(bytes.fromhex(record["digest"])) != 32:
        raise ValueError(record["id"])
    return Key(
        id=str(record["id"]),
        name=str(record["name"]),
        digest=record["digest"],
        scopes=frozenset(Scope(scope) for scope in record["scopes"]),
        problems=None if problems is None else frozenset(map(str, problems)),
        created_s=int(record["created_s"]),
        expires_s=None if record["expires_s"] is None else int(record["expires_s"]),
        revoked_s=None if record["revoked_s"] is None else int(record["revoked_s"]),
        rate=None if rate is None else Rate.parse(rate, where="rate"),
    )


def _written(key: Key) -> dict[str, Any]:
    return {
        **{name: getattr(key, name) for name in ("id", "name", "digest", "created_s", "expires_s", "revoked_s")},
        "scopes": sorted(key.scopes),
        "problems": None if key.problems is None else sorted(key.problems),
        "rate": None if key.rate is None else str(key.rate),
    }
