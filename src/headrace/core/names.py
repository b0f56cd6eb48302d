"""Limits of names: files and tables of MLflow and Feast allow 255 bytes, and combine several names in one."""

from __future__ import annotations

from headrace.core.errors import DeclarationError

#: Bytes in UTF-8. A view is called PROBLEM__ENTITY, a Feast entity PROBLEM__COLUMN, a feature by several of them.
LONGEST_PROBLEM, LONGEST_TABLE, LONGEST_COLUMN = 60, 100, 150


def is_overlong(name: str, max_bytes: int) -> bool:
    """Whether a name has more than `max_bytes` bytes in UTF-8."""
    return len(name.encode("utf-8", "replace")) > max_bytes


def check_name(name: object, of: str, max_bytes: int, *, ascii_only: bool = False) -> None:
    """DeclarationError unless a name is letters, digits and underscores, and not too long.

    of: what it names, "a problem". ascii_only: pages and addresses of services have the name too.
    """
    letters = "letters a to z, digits" if ascii_only else "letters, digits"
    if not isinstance(name, str) or not name.isidentifier() or (ascii_only and not name.isascii()):
        raise DeclarationError(f"{name!r} cannot name {of}", fix=f"use {letters} and underscores")
    if is_overlong(name, max_bytes):
        raise DeclarationError(
            f"{name[:40]!r}... cannot name {of}: it has {len(name.encode())} bytes", fix=f"use at most {max_bytes}"
        )
