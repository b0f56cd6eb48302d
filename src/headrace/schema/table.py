"""A table: one row per event or thing, its key, and when each of its columns could first be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError
from headrace.schema.expressions import TimeExpression

if TYPE_CHECKING:
    import pyarrow as pa

#: What a column means to synthesis. `id` columns join and are never features.
ROLES = ("numeric", "categorical", "boolean", "time", "text", "id", "ignore")


@runtime_checkable
class Source(Protocol):
    """Where a table's rows come from."""

    def fingerprint(self) -> str:
        """A digest that changes when the rows do; cheap, for it is asked on every run."""

    def read(self) -> pa.Table:
        """All rows, with time columns as aware timestamps."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A declared table.

    key: column or columns that name a row. time: its event time column, None for a table without time.
    known: when a row could first be seen (a time expression), the event time if not given.
    known_at: column -> time expression, for columns that are seen later than their row.
    resolution: "1d" where times are bare dates: such a value is known at the end of its day.
    source: a CSV or Parquet path (relative to the problem's file) or a Source.
    roles: column -> role, where the type alone would tell it wrongly. required: columns a batch must carry
    besides key and times; others that are declared nowhere are taken as they come.
    """

    name: str
    key: str | tuple[str, ...]
    source: str | Path | Source = field(compare=False)
    time: str | None = None
    known: str | None = None
    known_at: Mapping[str, str] = field(default_factory=dict)
    resolution: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise DeclarationError(f"{self.name!r} cannot name a table", fix="use letters, digits and underscores")
        if not self.keys:
            raise DeclarationError("a table needs a key", where=self.name, fix="name the columns that tell rows apart")
        if self.time is None and (self.known or self.known_at):
            raise DeclarationError(
                "known times on a table without time", where=self.name, fix="declare its event time: time='...'"
            )
        for column, role in self.roles.items():
            if role not in ROLES:
                raise DeclarationError(f"{role!r} is no role", where=f"{self.name}.{column}", found=ROLES)
        for text in (self.known, *self.known_at.values()):
            if text is not None:
                TimeExpression.parse(text)
        if self.resolution is not None:
            parse_duration(self.resolution)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key as a tuple of columns."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def row_known(self) -> TimeExpression | None:
        """When a row could first be seen; None for a table without time (known since ever)."""
        text = self.known or self.time
        return TimeExpression.parse(text) if text is not None else None

    def column_known(self, column: str) -> TimeExpression | None:
        """When a column's value could first be seen."""
        text = self.known_at.get(column)
        return TimeExpression.parse(text) if text is not None else self.row_known

    @property
    def time_columns(self) -> tuple[str, ...]:
        """Every column that an event or known time is read from, in a stable order."""
        expressions = [self.row_known, *(TimeExpression.parse(text) for text in self.known_at.values())]
        names = [self.time, *(expression.column for expression in expressions if expression is not None)]
        return tuple(dict.fromkeys(name for name in names if name is not None))
