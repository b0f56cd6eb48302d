"""What a change feed gives: the rows of a source that changed between two of its positions, for the lake.

A position is a text that the source gives and understands: the version of a Delta table, the snapshot of an Iceberg
table, the last sequence number of a change table. The lake keeps the position with the rows (`lake.change_position`),
so a later load begins where the last one ended, whatever happened in between.

Of a key that changed several times in a range, the last row counts, as if the whole table were read at its end. With
`arrival="commit"` each row of the range is a version, known from the commit that brought it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pyarrow as pa

from headrace.core.errors import DataError, DeclarationError
from headrace.schema import Source, Table

#: The column in which a feed says when each row was committed; the lake's own.
ARRIVAL = "_arrival"


@dataclass(frozen=True, kw_only=True)
class ChangeFeed:
    """How the changes of a table are read.

    Args:
        on_delete: The lake keeps every row that it has seen. `refuse`: a load with deleted rows is an error that names
            them. `ignore`: they stay in the lake.
        arrival: When changed rows arrive. `load`: when they are loaded, as other rows do. `commit`: when the source's
            writer committed them.
        on_gap: What to do where the source has removed changes that were not read yet. `refuse`: an error. `reload`:
            the table is read whole once.
    """

    on_delete: Literal["refuse", "ignore"] = "refuse"
    arrival: Literal["load", "commit"] = "load"
    on_gap: Literal["refuse", "reload"] = "refuse"

    def __post_init__(self) -> None:
        for name, known in (
            ("on_delete", ("refuse", "ignore")),
            ("arrival", ("load", "commit")),
            ("on_gap", ("refuse", "reload")),
        ):
            if getattr(self, name) not in known:
                raise DeclarationError(f"{name}={getattr(self, name)!r}", where="changes", found=known)


@dataclass(frozen=True, kw_only=True)
class ChangeRange:
    """A range of changes.

    Attributes:
        after: The position that it begins after; None: the whole table as of `until`.
        until: The position that it ends with.
    """

    after: str | None
    until: str


class Changes(Protocol):
    """The changes of one table's source."""

    def position(self, known: str | None = None) -> str | None:
        """Return the newest position; None where the source has none yet.

        Args:
            known: The position up to which the changes are in the lake; it is newest where nothing changed since.

        Raises:
            DataError: The source has no change feed.
            UnavailableError: A service does not answer.
        """

    def batches(self, span: ChangeRange) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a range, with ARRIVAL where the declaration asks for it; a range never changes.

        Raises:
            DataError: Rows were deleted, or the source has the changes no more.
            UnavailableError: A service does not answer.
        """


def changes_of(source: Source, table: Table) -> Changes | None:
    """Return the change feed of a table's source; None where it declares none.

    Raises:
        DeclarationError: The table has a cursor too.
    """
    bind = getattr(source, "changes_of", None)
    feed: Changes | None = bind(table) if callable(bind) else None
    if feed is not None and table.cursor is not None:
        raise DeclarationError(
            "a cursor and a change feed", where=table.name, fix="leave out cursor=, or changes= of the source"
        )
    return feed


def refuse_deletes(table: Table, place: str, count: int, keys: Sequence[object]) -> DataError:
    """Return the error for deleted rows. count: how many; keys: some of them, with the table's key columns."""
    return DataError(
        f"{count} rows were deleted, and the lake keeps every row ({', '.join(table.keys)})",
        where=f"{table.name}, {place}",
        found=keys,
        fix='to keep them as they were, declare on_delete="ignore" in changes= of the source',
    )


def lost_changes(table: Table, place: str, span: ChangeRange, why: str) -> DataError:
    """Return the error for changes that the source does not have any more."""
    return DataError(
        f"the changes after {span.after} cannot be read: {why}",
        where=f"{table.name}, {place}",
        fix='to read the table whole once, declare on_gap="reload" in changes= of the source',
    )
