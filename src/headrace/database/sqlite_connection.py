"""SQLAlchemy over an open connection of Python's sqlite3, whose transactions the caller begins and ends."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError

#: The connection that the engine takes in this thread.
_offered = threading.local()


class _Borrowed:
    """A connection that SQLAlchemy does not close: the caller has opened it, and closes it."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def over(raw: sqlite3.Connection) -> Iterator[Connection]:
    """Yield a connection of SQLAlchemy over `raw`, which stays open. An open transaction at the end is rolled back."""
    _offered.connection = _Borrowed(raw)
    with _engine().connect() as connection:
        yield connection


@cache
def _engine() -> Engine:
    # One engine for all files: SQLAlchemy compiles each statement once.
    return create_engine("sqlite://", creator=lambda: _offered.connection, poolclass=NullPool)


@contextmanager
def without_wrapper() -> Iterator[None]:
    """Raise the errors of sqlite3 that SQLAlchemy wraps; an IntegrityError stays SQLAlchemy's on every database."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from error
