"""Types of columns with the same values in SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

#: A number of 64 bits, such as microseconds. SQLite's INTEGER has as many, and only INTEGER can be its row's number.
Whole = BigInteger().with_variant(Integer(), "sqlite")

_TEXT, _BYTES = b"t", b"b"


class TextOrBytes(TypeDecorator[str | bytes]):
    """A text or bytes: as they are in SQLite, whose columns take both; in PostgreSQL bytes with a mark before them."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else LargeBinary())

    def process_bind_param(self, value: str | bytes | None, dialect: Dialect) -> Any:
        """Return what the database stores."""
        if value is None or dialect.name == "sqlite":
            return value
        return _TEXT + value.encode() if isinstance(value, str) else _BYTES + value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | bytes | None:
        """Return the text or the bytes that were written."""
        if value is None or dialect.name == "sqlite":
            return value  # type: ignore[no-any-return]
        data = bytes(value)
        return data[1:].decode() if data[:1] == _TEXT else data[1:]
