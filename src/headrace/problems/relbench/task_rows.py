"""The label tables of a RelBench task as one source: its rows by split, with cutoffs, links and labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.core.fingerprint import fingerprint
from headrace.problems.relbench.manifest import SPLITS
from headrace.problems.relbench.sources import as_key, as_time, digest_of, row_count, within

#: Columns that the label tables of a task get: the number of a row, and its split.
ROW, SPLIT = "label_row", "split"


@dataclass(frozen=True, kw_only=True)
class TaskRows:
    """The rows of train.parquet, val.parquet and test.parquet, in this order, each in its own order.

    Args:
        folder: Folder of the task.
        entity: (column of the label tables, alias).
        time: The same of the cutoff.
        target: The same of the label. A file without it holds rows to predict.
        entity_path: File of the entity's table.
        entity_key: Its primary key; None: the position of a row.
        entity_time: Its time column.
        links: Foreign keys of the entity's table that each row gets: (column, alias, what they are below). They are
            null where the entity's own row is later than the cutoff.
        labels: What the target holds. "number": the label. "class": one of several classes; the label is its position
            among them, and the class itself is a further column. "set": a 0 or 1 for each of several labels; the label
            is how many are true.
    """

    folder: Path
    entity: tuple[str, str]
    time: tuple[str, str]
    target: tuple[str, str]
    entity_path: Path
    entity_key: str | None = None
    entity_time: str | None = None
    links: tuple[tuple[str, str, int], ...] = ()
    labels: Literal["number", "class", "set"] = "number"

    @property
    def class_column(self) -> str:
        """Name of the column that holds the class as a text, where the target is one of several classes."""
        return f"{self.target[1]}_class"

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of the label tables as texts, sorted; of a set of labels their positions."""
        if self.labels == "set":
            sizes = [pc.max(pc.list_value_length(self._target(path))).as_py() for path in self.files.values()]
            return tuple(str(number) for number in range(max(size or 0 for size in sizes)))
        found = {value for path in self.files.values() for value in pc.unique(_texts(self._target(path))).to_pylist()}
        return tuple(sorted(found - {None}))

    def truth(self) -> NDArray[np.float64]:
        """Compute which class or labels are true [rows, classes], 0 or 1; NaN in rows without a label."""
        parts = [self._truth_of(self._target(path)) for path in self.files.values()]
        return np.concatenate(parts)

    def _truth_of(self, column: pa.ChunkedArray) -> NDArray[np.float64]:
        found = np.full((len(column), len(self.classes)), np.nan)
        known = np.flatnonzero(column.is_valid().to_numpy())
        if self.labels == "set":
            for row in known:
                values = column[int(row)].as_py()
                found[row, : len(values)] = values
            return found
        codes = self._codes(column).to_numpy()
        found[known] = 0.0
        found[known, codes[known].astype(np.int64)] = 1.0
        return found

    def _codes(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        codes = pc.index_in(_texts(column), value_set=pa.array(self.classes, pa.string()))
        return codes.cast(pa.float64())

    def _target(self, path: Path) -> pa.ChunkedArray:
        name = self.target[0]
        if name not in pq.read_schema(path).names:
            rows = row_count(path)
            kind = pa.list_(pa.int64()) if self.labels == "set" else pa.string()
            return pa.chunked_array([pa.nulls(rows, kind)])
        return pq.read_table(path, columns=[name])[name]

    def _label(self, path: Path) -> dict[str, pa.ChunkedArray]:
        """The label of each row, and its class as a text where it is one."""
        target, column = self._target(path), self.target[1]
        if self.labels == "number":
            return {column: _number(target) if not pa.types.is_string(target.type) else target.cast(pa.float64())}
        if self.labels == "class":
            return {column: self._codes(target), self.class_column: _texts(target)}
        return {column: pa.chunked_array([pa.array(self._truth_of(target).sum(axis=1), from_pandas=True)])}

    @property
    def files(self) -> dict[str, Path]:
        """Split -> its file, of those that are there."""
        paths = {name: self.folder / f"{name}.parquet" for name in SPLITS}
        return {name: path for name, path in paths.items() if path.is_file()}

    def fingerprint(self) -> str:
        """Digest of the files and of what is read from them."""
        files = [[name, digest_of(path)] for name, path in self.files.items()]
        names = [*self.entity, *self.time, *self.target, str(self.entity_key), str(self.entity_time)]
        links = [list(link) for link in self.links]
        return fingerprint([files, names, links, digest_of(self.entity_path) if self.links else "", self.labels])

    def read(self) -> pa.Table:
        """All rows: `label_row`, `split`, the entity, its links, the cutoff and the label."""
        if "train" not in self.files or "val" not in self.files:
            raise DataError(
                "a task without train.parquet or val.parquet",
                where=str(self.folder),
                found=list(self.files),
                fix="write the label tables with the package relbench: task.get_table(...)",
            )
        empty = [path.name for path in self.files.values() if not row_count(path)]
        if empty:
            raise DataError(
                f"{empty[0]} has no row", where=str(self.folder),
                fix="each split needs rows; those of test.parquet may lack the label",
            )  # fmt: skip
        parts = [self._split(name, path) for name, path in self.files.items()]
        rows = pa.concat_tables(parts, promote_options="permissive")
        columns = {ROW: pa.chunked_array([pa.array(np.arange(rows.num_rows))])}
        columns.update({name: rows[name] for name in rows.column_names})
        columns.update(self._links(rows))
        return pa.table(columns)

    def test_rows(self) -> pa.Table:
        """The rows of test.parquet with their keys as they stand in it."""
        return pq.read_table(self.files["test"], columns=[self.entity[0], self.time[0]])

    def _split(self, name: str, path: Path) -> pa.Table:
        rows = pq.read_table(path)
        missing = [column for column in (self.entity[0], self.time[0]) if column not in rows.column_names]
        if missing:
            raise DataError(f"no column {missing[0]!r}", where=str(path), found=rows.column_names)
        return pa.table(
            {
                SPLIT: pa.array([name] * rows.num_rows, pa.string()),
                self.entity[1]: as_key(rows[self.entity[0]], str(path)),
                self.time[1]: as_time(rows[self.time[0]], str(path)),
                **self._label(path),
            }
        )

    def _links(self, rows: pa.Table) -> dict[str, pa.ChunkedArray]:
        if not self.links:
            return {}
        names = [column for column, _, _ in self.links]
        extra = [name for name in (self.entity_key, self.entity_time) if name is not None]
        entities = pq.read_table(self.entity_path, columns=list(dict.fromkeys((*names, *extra))))
        keys = as_key(rows[self.entity[1]], str(self.folder)).combine_chunks()
        if self.entity_key is None:
            place = pc.if_else(pc.less(keys, entities.num_rows), keys, None)
        else:
            place = pc.index_in(keys, value_set=as_key(entities[self.entity_key], "").combine_chunks())
        known = pc.is_valid(place)
        if self.entity_time is not None:
            at = as_time(entities[self.entity_time], str(self.entity_path)).combine_chunks().take(place)
            known = pc.and_(known, pc.fill_null(pc.less_equal(at, rows[self.time[1]].combine_chunks()), False))
        found = {}
        for name, alias, size in self.links:
            values = within(as_key(entities[name], str(self.entity_path)), size).combine_chunks().take(place)
            found[alias] = pa.chunked_array([pc.if_else(known, values, pa.scalar(None, values.type))])
        return found


def _number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values = column.cast(pa.float64())
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as texts; whole numbers without a decimal point."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type) and pc.all(pc.equal(pc.floor(column), column)).as_py():
        column = column.cast(pa.int64())
    return column.cast(pa.string())
