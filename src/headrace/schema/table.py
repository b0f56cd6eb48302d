"""A table: one row per event or thing, its key, and when each of its columns could first be seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from headrace.core.calendar import check_zone, parse_period
from headrace.core.errors import DeclarationError
from headrace.core.names import LONGEST_TABLE, check_name
from headrace.schema.expressions import TimeExpression
from headrace.schema.paths import JoinedColumn

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

    Args:
        name: how relationships and the spine call it.
        key: column or columns that name a row; a later row with the same key is a new version of it.
        source: a path (relative to the problem's file), folder or pattern of CSV or Parquet files; an address
            ("s3://bucket/orders/*.parquet", "postgresql+psycopg://host/shop#orders", "delta:///orders", ...); a Source;
            or a data frame (pandas, polars or Arrow), whose contents identify it. docs/sources.md lists them.
        time: the event time column, None for a table without time. A time that stands in a parent row is declared by
            its path ("races.date", or with the foreign key "race_id.races.date"); so in `known` and `known_at`.
        known: when a row could first be seen (a time expression); None: at its event time.
        known_at: column -> time expression, for columns that are seen later than their row.
        resolution: "1d", "1mo" or "1y" where times tell only the day, month or year: a value is known at its end.
        tz: zone of times that are written without one, such as "Europe/Zurich", and of the days of `resolution`.
        roles: column -> role, where the column's type misleads.
        bounds: column -> (low, high), None for no limit on one side; a batch with a value outside is quarantined.
        cursor: column whose values grow from batch to batch (a sequence number, a time of insertion). A later run reads
            only rows at or after the largest value that is in the lake; None: it reads the whole source, or what its
            change feed brings (`headrace.problems.sources.ChangeFeed`).
        null_values: texts that mean "no value", such as ("\\N", "NA"), besides the empty field of a CSV. None: the
            usual ones in a CSV ("NA", "NULL", "None", ...), and none in other sources.
        joined: columns that are read from parent rows; follows from the paths above, not for users.

    Raises:
        DeclarationError: for a value that cannot be used.
    """

    name: str
    key: str | tuple[str, ...]
    source: str | Path | Source | Any = field(compare=False)
    time: str | None = None
    known: str | None = None
    known_at: Mapping[str, str] = field(default_factory=dict)
    resolution: str | None = None
    tz: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    cursor: str | None = None
    null_values: tuple[str, ...] | None = None
    joined: tuple[JoinedColumn, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_name(self.name, "a table", LONGEST_TABLE)
        if not self.keys:
            raise DeclarationError("a table needs a key", where=self.name, fix="name the columns that tell rows apart")
        if len(set(self.keys)) < len(self.keys):
            raise DeclarationError("a column stands in the key twice", where=self.name, found=self.keys)
        if self.time is None and (self.known or self.known_at):
            raise DeclarationError(
                "known times on a table without time", where=self.name, fix="declare its event time: time='...'"
            )
        for column, role in self.roles.items():
            if role not in ROLES:
                raise DeclarationError(f"{role!r} is no role", where=f"{self.name}.{column}", found=ROLES)
        for column, limits in self.bounds.items():
            _check_bounds(f"{self.name}.{column}", limits)
        for text in (self.known, *self.known_at.values()):
            if text is not None:
                TimeExpression.parse(text)
        self._check_source_options()
        if self.resolution is not None:
            parse_period(self.resolution)
        if self.tz is not None:
            check_zone(self.tz, self.name)

    def _check_source_options(self) -> None:
        if self.null_values is not None:
            texts = self.null_values
            if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
                raise DeclarationError(f"null_values={texts!r}", where=self.name, fix='write a list: ("\\\\N", "NA")')
            object.__setattr__(self, "null_values", tuple(texts))
        if self.cursor is not None and (not isinstance(self.cursor, str) or not self.cursor):
            raise DeclarationError(f"cursor={self.cursor!r}", where=self.name, fix="name a column whose values grow")

    def local(self, expression: TimeExpression) -> TimeExpression:
        """Return a time expression over this table with its path replaced by the joined column."""
        column = next((one.column for one in self.joined if one.path == expression.column), expression.column)
        return replace(expression, column=column)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key as a tuple of columns."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def named_columns(self) -> tuple[str, ...]:
        """Columns that the declaration names and that every batch must have: keys, times, the cursor."""
        names = (*self.keys, *self.time_columns, *self.known_at, *([self.cursor] if self.cursor else []))
        return tuple(dict.fromkeys(names))

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


def _check_bounds(where: str, limits: object) -> None:
    """DeclarationError unless limits are (low, high), numbers or None, one of them at least, the low one not above."""
    fix = "write (low, high), with None for no limit on one side"
    if not isinstance(limits, tuple | list) or len(limits) != 2:
        raise DeclarationError(f"bounds of {limits!r}", where=where, fix=fix)
    numbers = [limit for limit in limits if limit is not None]
    if not all(isinstance(limit, int | float) and math.isfinite(limit) for limit in numbers):
        raise DeclarationError(f"bounds that are no numbers: {limits!r}", where=where, fix=fix)
    if not numbers:
        raise DeclarationError("bounds without a limit", where=where, fix="give one, or leave the column out of bounds")
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise DeclarationError(f"nothing is between {numbers[0]} and {numbers[1]}", where=where, fix=fix)
