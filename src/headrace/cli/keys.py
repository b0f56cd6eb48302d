"""`headrace keys`: make, list, rotate and revoke API keys, and make the pair of keys that signs bundles."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.access.actor import actor
from headrace.access.keys import Key
from headrace.access.opened import audit_log, key_file
from headrace.access.rates import Rate
from headrace.access.scopes import scopes_of
from headrace.app.context import settings_of
from headrace.app.output import print_json
from headrace.core.clock import SECOND, iso, parse_duration
from headrace.core.errors import DeclarationError
from headrace.core.home import open_home
from headrace.core.settings import Settings

_ONCE = "This is the only time that the key is shown. Send it as `Authorization: Bearer KEY`."


def create(
    name: str,
    home: Path | None,
    *,
    scopes: str,
    problems: str | None,
    expires: str | None,
    rate: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it.

    Raises:
        DeclarationError: A scope, period or rate cannot be read.
        ConflictError: A key of that name is active.
    """
    settings, now_s = _opened(home), int(time.time())
    record = Key(
        id="",
        digest="",
        name=name,
        scopes=scopes_of(_listed(scopes)),
        problems=None if problems is None else frozenset(_listed(problems)),
        created_s=now_s,
        expires_s=_end(expires, now_s),
        rate=None if rate is None else Rate.parse(rate, where="--rate"),
    )
    made, text = key_file(settings).create(record)
    _audit(settings, "key.create", made)
    _print_key(made, text, as_json=as_json)


def rotate(name: str, home: Path | None, *, overlap: str, expires: str | None, as_json: bool) -> None:
    """Replace the key of a name, and print the new one.

    Raises:
        NotFoundError: No key of that name is active.
    """
    settings, now_s = _opened(home), int(time.time())
    made, text = key_file(settings).rotate(
        name, now_s=now_s, overlap_s=_period_s(overlap, "--overlap"), expires_s=_end(expires, now_s)
    )
    _audit(settings, "key.rotate", made, overlap=overlap)
    _print_key(made, text, as_json=as_json)


def revoke(reference: str, home: Path | None, *, as_json: bool) -> None:
    """Revoke the keys of a name, or one by its id.

    Raises:
        NotFoundError: No such key is active.
    """
    settings = _opened(home)
    revoked = key_file(settings).revoke(reference, now_s=int(time.time()))
    for key in revoked:
        _audit(settings, "key.revoke", key)
    if as_json:
        print_json({"revoked": [_facts(key) for key in revoked]})
        return
    for key in revoked:
        print(f"revoked: {key.name} ({key.id})")


def show(home: Path | None, *, as_json: bool) -> None:
    """Print all keys without the keys themselves."""
    facts = [_facts(key) for key in key_file(settings_of(home)).records()]
    if as_json:
        print_json({"keys": facts})
        return
    if not facts:
        print("no API keys")
        return
    table = Table("name", "id", "scopes", "problems", "rate", "expires", "state")
    for key in facts:
        problems, scopes = ", ".join(key["problems"] or ["all"]), ", ".join(key["scopes"])
        limits = (key["rate"] or "", key["expires"] or "")
        table.add_row(key["name"], key["id"], scopes, problems, *limits, key["state"])
    Console().print(table)


def make_pair(folder: Path, home: Path | None, *, as_json: bool) -> None:
    """Make the pair of keys that signs bundles.

    Raises:
        ConflictError: The folder holds one already.
    """
    from headrace.access.signing import new_pair

    settings = _opened(home)
    password = settings.signing_password.get_secret_value() if settings.signing_password else None
    private, public = new_pair(folder, password)
    audit_log(settings).append(
        actor(), "signing.create", str(private), at_us=time.time_ns() // 1000, facts={"encrypted": password is not None}
    )
    if as_json:
        print_json({"signing_key": private, "verification_key": public, "encrypted": password is not None})
        return
    print(f"HEADRACE_SIGNING_KEY={private}        for the worker: signs what it registers")
    print(f"HEADRACE_VERIFICATION_KEY={public}   for all: refuses what is not signed")


def _opened(home: Path | None) -> Settings:
    settings = settings_of(home)
    open_home(settings.root)
    return settings


def _audit(settings: Settings, action: str, key: Key, **facts: Any) -> None:
    known = {name: value for name, value in _facts(key).items() if name not in ("name", "id", "state") and value}
    audit_log(settings).append(
        actor(), action, f"key {key.name} ({key.id})", at_us=time.time_ns() // 1000, facts={**known, **facts}
    )


def _print_key(key: Key, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**_facts(key), "key": text})
        return
    print(text)
    Console(stderr=True).print(_ONCE)


def _facts(key: Key) -> Mapping[str, Any]:
    return {
        "name": key.name,
        "id": key.id,
        "scopes": sorted(key.scopes),
        "problems": None if key.problems is None else sorted(key.problems),
        "rate": None if key.rate is None else str(key.rate),
        "created": iso(key.created_s * SECOND),
        "expires": None if key.expires_s is None else iso(key.expires_s * SECOND),
        "revoked": None if key.revoked_s is None else iso(key.revoked_s * SECOND),
        "state": key.state(time.time()),
    }


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _end(period: str | None, now_s: int) -> int | None:
    return None if period is None else now_s + _period_s(period, "--expires")


def _period_s(text: str, where: str) -> int:
    try:
        return max(1, parse_duration(text) // SECOND)
    except DeclarationError as error:
        raise DeclarationError(error.what, where=where, fix="write it as 90d, 12h or 30min") from None
