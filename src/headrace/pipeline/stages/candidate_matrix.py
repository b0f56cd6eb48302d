"""The candidates' matrix on disk: one file, or the files of an earlier matrix and the rows that a batch added.

    candidates.parquet          all rows, in the spine's order; or, where an earlier matrix was carried over,
    parts.json, <n>.parquet     parts, linked to those of the earlier one where they are the same, and
    places.parquet              the position of each row of the spine among the rows of all parts

So a run writes only what it computed. Parts are merged as in a log-structured merge tree (O'Neil et al., 1996): one is
at least twice as long as the next, so a row is written again at most as often as the matrix has doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.files import read_json, write_json
from headrace.core.manifest import link_file
from headrace.synthesis.language.values import Ints, as_array
from headrace.synthesis.matrix.incremental import Carried
from headrace.synthesis.matrix.slices import take_slices, take_table_slices
from headrace.synthesis.matrix.written import COMPRESSION

SINGLE_FILE, _PARTS, _PLACES = "candidates.parquet", "parts.json", "places.parquet"


class Candidates:
    """The matrix of a finished synthesis [rows, features]. A column is read from disk when it is accessed.

    Args:
        folder: where it lies.
        path: returns a file's path from its name, once its checksum was compared. Left out, nothing is compared.
    """

    def __init__(self, folder: Path, path: Callable[[str], Path] | None = None) -> None:
        self._path = path or folder.joinpath
        names = read_json(self._path(_PARTS))["parts"] if (folder / _PARTS).exists() else [SINGLE_FILE]
        self.paths = tuple(self._path(name) for name in names)
        self._files = [parquet.ParquetFile(path) for path in self.paths]
        self.sizes = tuple(file.num_rows for file in self._files)

    @property
    def num_rows(self) -> int:
        """Rows of the matrix."""
        return len(self.places)

    @property
    def column_names(self) -> list[str]:
        """The features' slugs."""
        return list(self._files[0].schema.names)

    @cached_property
    def places(self) -> Ints:
        """The position of each row among those of all parts [rows]."""
        if self.paths[0].name == SINGLE_FILE:
            return np.arange(self.sizes[0])
        return np.asarray(as_array(parquet.read(self._path(_PLACES))["place"]).to_numpy(), dtype=np.int64)

    def __getitem__(self, slug: str, /) -> pa.ChunkedArray:
        found = [chunk for file in self._files for chunk in file.read([slug])[slug].chunks]
        return take_slices(pa.chunked_array(found, self._files[0].schema.field(slug).type), self.places)

    def slices(self, slugs: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Some columns, so many rows at a time. Of a matrix that is kept as parts, those columns are read whole."""
        if self.paths[0].name == SINGLE_FILE:
            yield from map(pa.Table.from_batches, ([part] for part in self._files[0].batches(rows, slugs)))
            return
        table = pa.table({slug: self[slug] for slug in slugs})
        yield from (table.slice(start, rows) for start in range(0, table.num_rows, rows))

    def table(self) -> pa.Table:
        """The whole matrix in memory."""
        return take_table_slices(rows_of(self.paths), self.places)


def rows_of(paths: tuple[Path, ...]) -> pa.Table:
    """The rows of some parts, one after the other."""
    return pa.concat_tables([parquet.read(path, memory_map=True) for path in paths])


def write_carried(folder: Path, carried: Carried, past: Candidates) -> None:
    """A matrix carried over from a past one, into an empty folder."""
    if carried.whole.num_columns or carried.fresh.column_names != past.column_names:
        parquet.write(carried.matrix, folder / SINGLE_FILE, compression=COMPRESSION)
        return
    end = sum(past.sizes)
    places = np.concatenate([past.places, end + np.arange(carried.again)])[carried.source]
    retained, added = len(past.sizes), carried.again
    while retained and added * 2 >= past.sizes[retained - 1]:
        retained -= 1
        added += past.sizes[retained]
    base = sum(past.sizes[:retained])
    tail = np.sort(places[places >= base])
    fresh = carried.fresh
    if retained < len(past.sizes):
        fresh = take_table_slices(pa.concat_tables([rows_of(past.paths[retained:]), fresh]), tail - base)
        places = np.where(places >= base, base + np.searchsorted(tail, places), places)
    if not retained:
        parquet.write(take_table_slices(fresh, places), folder / SINGLE_FILE, compression=COMPRESSION)
        return
    names = [f"{number:03d}.parquet" for number in range(retained + (fresh.num_rows > 0))]
    for path, name in zip(past.paths, names, strict=False):
        link_file(path, folder / name)
    if fresh.num_rows:
        parquet.write(fresh, folder / names[-1], compression=COMPRESSION)
    parquet.write(pa.table({"place": places}), folder / _PLACES)
    write_json(folder / _PARTS, {"parts": names})
