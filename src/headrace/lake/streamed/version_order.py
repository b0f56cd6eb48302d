"""Read the rows of a table's batches in version order, a part at a time, without the table in memory.

Batches come in the order of their arrivals. Rows with an arrival of their own may belong before rows of earlier
batches. So the batches are divided into *runs*: no row of a later run belongs before one of an earlier run. A run of
one batch is read as it is, or sorted in memory. A longer run that is too large for that is sorted on disk: its rows are
distributed to slices of the arrivals, and each slice is sorted in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core import parquet
from headrace.core.clock import NEVER
from headrace.lake.batch import Batch, load, load_parts, schema
from headrace.lake.conform import ARRIVAL
from headrace.lake.table_schema import cast_to_schema, precedence, with_arrival

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: A run of at most this many times the rows of a part is sorted in memory.
_SORTED_PARTS = 4
#: Slices of a run that is sorted on disk, at most; each is an open file.
_MOST_SLICES = 200
#: Arrivals of a batch from which the slices are chosen.
_SAMPLED = 1_000


@dataclass(frozen=True, kw_only=True)
class _Arrivals:
    """The arrivals of a batch's rows, in us: the first, the last, some of them, and whether they ascend."""

    low: int
    high: int
    sample: Ints
    ascend: bool


class VersionOrder:
    """The rows of a table's batches in version order, repeats among them.

    Args:
        batches: In the order of `precedence`.
        schema: Of the rows that are read.
        folder: For temporary files.
        part_rows: Rows of a part, about.
    """

    def __init__(self, batches: Sequence[Batch], schema: pa.Schema, folder: Path, *, part_rows: int) -> None:
        self.schema = schema
        self._folder, self._part_rows = folder, part_rows
        filled = [batch for batch in batches if batch.rows]
        self._arrivals = {batch.id: _arrivals(batch) for batch in filled}
        self._runs = list(self._divided(filled))
        self._sorted: dict[int, Path] = {}
        self.rows = sum(batch.rows for batch in filled)

    @property
    def first_arrival(self) -> int:
        """The first arrival of a row, in us; NEVER where there are no rows."""
        return min((one.low for one in self._arrivals.values()), default=NEVER)

    def parts(self, columns: Sequence[str] | None = None, only: Flags | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield the place of a part's first row in the order, and the part.

        Args:
            columns: Columns to read; None for all.
            only: Whether each row is needed [rows]; runs of which none is may be left out.
        """
        place = 0
        for number, run in enumerate(self._runs):
            rows = sum(batch.rows for batch in run)
            if only is None or only[place : place + rows].any():
                start = place
                for part in self._run_parts(number, columns):
                    yield start, part
                    start += part.num_rows
            place += rows

    def _divided(self, batches: Sequence[Batch]) -> Iterator[list[Batch]]:
        low = np.array([self._arrivals[batch.id].low for batch in batches], dtype=np.int64)
        high = np.array([self._arrivals[batch.id].high for batch in batches], dtype=np.int64)
        until, later = np.maximum.accumulate(high), np.minimum.accumulate(low[::-1])[::-1]
        start = 0
        for end in range(1, len(batches) + 1):
            if end == len(batches) or until[end - 1] <= later[end]:
                yield list(batches[start:end])
                start = end

    def _run_parts(self, number: int, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        run = self._runs[number]
        if len(run) == 1 and self._arrivals[run[0].id].ascend:
            yield from self._batch_parts(run[0], columns)
        elif sum(batch.rows for batch in run) <= _SORTED_PARTS * self._part_rows:
            yield _by_arrival(pa.concat_tables([part for batch in run for part in self._batch_parts(batch, columns)]))
        else:
            if number not in self._sorted:
                self._sorted[number] = self._folder / f"run-{number:06d}.parquet"
                self._sort_on_disk(run, self._sorted[number])
            names = self.schema.names if columns is None else columns
            for batch in parquet.ParquetFile(self._sorted[number]).batches(self._part_rows, names):
                yield pa.Table.from_batches([batch])

    def _batch_parts(self, batch: Batch, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        """The rows of a batch, with its arrival; of some columns always the arrival too."""
        names = self.schema.names if columns is None else [*dict.fromkeys([*columns, ARRIVAL])]
        wanted = pa.schema([self.schema.field(name) for name in names])
        for part in load_parts(batch, self._part_rows, names):
            yield cast_to_schema(with_arrival(part, batch), wanted)

    def _sort_on_disk(self, run: Sequence[Batch], path: Path) -> None:
        edges = self._edges(run)
        files = [path.with_name(f"{path.stem}-{number}.arrows") for number in range(len(edges) + 1)]
        with ExitStack() as stack:
            writers = [stack.enter_context(pa.ipc.new_stream(str(file), self.schema)) for file in files]
            for batch in run:
                for part in self._batch_parts(batch, None):
                    slices = np.searchsorted(edges, _arrival_values(part), side="right")
                    for number in np.unique(slices).tolist():
                        writers[number].write_table(part.filter(pa.array(slices == number)))
        equal = [False, *(np.diff(edges) == 1).tolist(), False]  # one arrival in all of the slice
        with parquet.writer(path, self.schema, compression="lz4") as writer:
            for file, as_it_is in zip(files, equal, strict=True):
                for rows in joined_parts(_slice_parts(file, as_it_is), self._part_rows):
                    writer.write_table(rows)
                file.unlink()

    def _edges(self, run: Sequence[Batch]) -> Ints:
        """The arrivals at which slices begin, ascending. An arrival of very many rows has a slice of its own."""
        samples = [self._arrivals[batch.id].sample for batch in run]
        weights = [np.full(len(one), batch.rows / len(one)) for one, batch in zip(samples, run, strict=True)]
        values, at = np.unique(np.concatenate(samples), return_inverse=True)
        rows = np.bincount(at.reshape(-1), weights=np.concatenate(weights))
        most = max(float(self._part_rows), 3 * rows.sum() / _MOST_SLICES)
        heavy = values[rows > most]
        slices = ((np.cumsum(rows) - rows) // most).astype(np.int64)
        starts = values[1:][slices[1:] != slices[:-1]]
        return np.unique(np.concatenate([heavy, heavy + 1, starts]))


def joined_parts(parts: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join parts that follow each other, so that each but the last has at least so many rows."""
    held: list[pa.Table] = []
    for part in parts:
        held.append(part)
        if sum(one.num_rows for one in held) >= rows:
            yield pa.concat_tables(held).combine_chunks()
            held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _slice_parts(file: Path, as_it_is: bool) -> Iterator[pa.Table]:
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
        if as_it_is:
            yield from (pa.Table.from_batches([batch]) for batch in reader)
        else:
            yield _by_arrival(reader.read_all())


def _by_arrival(rows: pa.Table) -> pa.Table:
    """Sort rows by arrival; rows of one arrival stay in their order."""
    arrivals = _arrival_values(rows)
    if np.all(arrivals[1:] >= arrivals[:-1]):
        return rows
    return rows.take(pa.array(np.argsort(arrivals, kind="stable")))


def _arrival_values(rows: pa.Table) -> Ints:
    return np.asarray(rows[ARRIVAL].to_numpy(), dtype=np.int64)


def _arrivals(batch: Batch) -> _Arrivals:
    if ARRIVAL not in schema(batch).names:
        at, _ = precedence(batch)
        return _Arrivals(low=at, high=at, sample=np.array([at], dtype=np.int64), ascend=True)
    values = np.asarray(load(batch, [ARRIVAL])[ARRIVAL].cast(pa.int64()).to_numpy(), dtype=np.int64)
    return _Arrivals(
        low=int(values.min()),
        high=int(values.max()),
        sample=np.sort(values)[:: max(len(values) // _SAMPLED, 1)],
        ascend=bool(np.all(values[1:] >= values[:-1])),
    )
