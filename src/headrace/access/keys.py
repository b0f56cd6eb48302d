"""API keys: their text, their hash, and the record of one, for the file of keys and for the check of a request.

A key is `headrace_ID_SECRET`: 12 hexadecimal digits that find its record, and 256 random bits in base64. Its begin is
fixed, so that scanners of repositories and `core.redact` recognise a key.

The record holds HMAC-SHA-256 of the key. Slow hashes (bcrypt, scrypt, Argon2) protect passwords, which people choose
and programs guess. Nobody guesses 256 random bits, so a fast hash protects them as well, and a slow one would let
clients with wrong keys occupy the server. The hash is keyed by `HEADRACE_KEY_PEPPER`, where it is set: whoever can
write the file of keys, but does not know the pepper, cannot add a key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace

from headrace.access.rates import Rate
from headrace.access.scopes import Scope

PREFIX = "headrace_"
_KEY = re.compile(rb"headrace_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
#: Keys the hash where no pepper is set, so that it is a hash of no other use.
_DOMAIN = b"headrace API key v1"


@dataclass(frozen=True, kw_only=True)
class Key:
    """The record of a key, without the key.

    Attributes:
        id: Finds the record; part of the key, and no secret.
        name: Whose key it is. Keys of one name replace each other by rotation.
        digest: Keyed hash of the whole key, hex.
        scopes: What it may do.
        problems: Names of the problems that it may be used for; None for all.
        created_s: When it was made, seconds since 1970.
        expires_s: When it stops, seconds since 1970; None for never.
        revoked_s: When it was revoked; None where it was not.
        rate: Requests that it may send; None for the setting's.
    """

    id: str
    name: str
    digest: str
    scopes: frozenset[Scope]
    problems: frozenset[str] | None = None
    created_s: int
    expires_s: int | None = None
    revoked_s: int | None = None
    rate: Rate | None = None

    def state(self, now_s: float) -> str:
        """Return "active", "expired" or "revoked"."""
        if self.revoked_s is not None:
            return "revoked"
        return "expired" if self.expires_s is not None and now_s >= self.expires_s else "active"

    def allows(self, problem: str | None) -> bool:
        """Whether it may be used for a problem; of what belongs to no problem, None, only unrestricted keys."""
        return self.problems is None or problem in self.problems


def new_key(record: Key, pepper: str = "") -> tuple[Key, str]:
    """Make a key.

    Args:
        record: Its name, scopes and limits; `id` and `digest` are replaced.
        pepper: Secret of the installation that keys the hash.

    Returns:
        The record, and the key, which is to be shown once and stored nowhere.
    """
    number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    text = f"{PREFIX}{number}_{secret}"
    return replace(record, id=number, digest=digest_of(text.encode(), pepper).hex()), text


def digest_of(key: bytes, pepper: str = "") -> bytes:
    """Return the keyed hash of a key [32 bytes]."""
    return hmac.digest(pepper.encode() or _DOMAIN, key, hashlib.sha256)


def id_of(presented: bytes) -> str | None:
    """Return the id within what should be a key; None where it does not have the form of one."""
    found = _KEY.fullmatch(presented)
    return None if found is None else found[1].decode()


def contains_key(text: bytes) -> bool:
    """Whether a text contains something that has the form of a key."""
    return _KEY.search(text) is not None


def matches(record: Key, presented: bytes, pepper: str = "") -> bool:
    """Whether a key is the one of a record; takes the same time wherever they differ."""
    return hmac.compare_digest(digest_of(presented, pepper), bytes.fromhex(record.digest))
