"""Load what a change feed brings: first the rest of a load that was killed, then what changed since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.lake.change_position import loaded_changes, record_position
from headrace.lake.store import Lake
from headrace.pipeline.production.intake import IngestedBatch
from headrace.pipeline.production.loading import Load, commit, prepared
from headrace.problems.sources.feeds.feed import ChangeRange, Changes
from headrace.problems.sources.reading import SourceReader
from headrace.schema import Problem, Table


def finish_killed_load(
    problem: Problem, root: Path, reader: SourceReader, table: Table, feed: Changes
) -> IngestedBatch | None:
    """Append the rows of a range whose load was killed between two batches; None where no load was.

    The rows arrive when those did that the killed load has appended.
    """
    lake = Lake(root, problem.name)
    known = loaded_changes(lake, table)
    if known.unfinished is None:
        return None
    chunks = reader.changed_chunks(table, feed, known.unfinished)
    with prepared(problem, root, table, chunks, changes=known.unfinished, parts=known.parts) as load:
        first = known.parts[0]
        bootstrap = first.bootstrap and bool(load.rows)
        return commit(problem, root, load, arrival_us=first.arrival_us, bootstrap=bootstrap)


@contextmanager
def changed_rows(problem: Problem, root: Path, reader: SourceReader, table: Table, feed: Changes) -> Iterator[Load]:
    """Read, convert and validate what changed since the last load; all rows before the first one.

    Args:
        problem: the declaration.
        root: the home folder.
        reader: of the problem's sources.
        table: the table.
        feed: its changes.

    Raises:
        DataError: rows were deleted, or the source has the changes no more.
    """
    known = loaded_changes(Lake(root, problem.name), table).until
    position = feed.position(known)
    if position is None:  # nothing was ever written
        chunks, span = iter([reader.rows(table)] if known is None else []), None
    elif position == known:
        chunks, span = iter(()), None
    else:
        span = ChangeRange(after=known, until=position)
        chunks = reader.changed_chunks(table, feed, span)
    with prepared(problem, root, table, chunks, changes=span) as load:
        yield load


def finish_empty(root: Path, problem: Problem, load: Load) -> None:
    """Record that a range brought no row, so that it is not read again."""
    if load.changes is not None and not load.rows and load.refused is None:
        record_position(Lake(root, problem.name), load.table, load.changes.until)
