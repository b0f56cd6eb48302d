"""A recommendation task of a RelBench folder: its label rows as requests, and what recommendations are made from.

Labels of earlier cutoffs are a kind of interaction, known when their period ends. RelBench's test rows have one cutoff,
the instant at which the database is frozen, so that both protocols are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from headrace.core.clock import DAY
from headrace.core.errors import DataError
from headrace.problems.relbench.columns import table_columns
from headrace.problems.relbench.lookbacks import period_us
from headrace.problems.relbench.manifest import SPLITS, DatasetManifest, LinkManifest, read_dataset, read_links
from headrace.problems.relbench.sources import as_position, as_time, plain, read_columns
from headrace.recommendation.interactions import Floats, Interactions, Ints, distinct, interactions_of
from headrace.recommendation.pair_features import Attributes
from headrace.recommendation.recommender import Requests, World
from headrace.recommendation.relations import Keys, relations
from headrace.recommendation.text_neighbours import alike_rows

#: Most attributes of a kind, and values of a grouping attribute.
_MOST_ATTRIBUTES, _MOST_GROUPS = 10, 2_000


@dataclass(frozen=True, kw_only=True)
class LinkTask:
    """A task. world: what recommendations are made from. requests: by split. labelled: whether the test rows are."""

    manifest: LinkManifest
    dataset: DatasetManifest
    world: World
    requests: dict[str, Requests]
    labelled: bool


def load_link_task(folder: Path) -> LinkTask:
    """Read a recommendation task.

    Args:
        folder: Of the task, in the data set's folder `tasks`.

    Raises:
        DataError: A file is missing or wrong.
    """
    dataset = read_dataset(folder.parent.parent)
    task = read_links(folder, dataset)
    keys = Keys(dataset=dataset, hidden=frozenset(task.remove_columns))
    tables = {split: read_columns(_file(folder, split)) for split in SPLITS}
    empty = [split for split, rows in tables.items() if not rows.num_rows]
    if empty:
        raise DataError(
            f"{empty[0]}.parquet has no row", where=str(folder), fix="a task needs rows in all three splits"
        )
    requests = {split: _requests(task, rows, str(folder)) for split, rows in tables.items()}
    period = DAY if task.timedelta is None else period_us(task.timedelta, str(folder))
    users, items = keys.rows(task.user_table), keys.rows(task.item_table)
    labels = _labels([requests["train"], requests["val"]], period, users, items)
    world = World(
        kinds=(labels, *relations(task, dataset)),
        users=_attributes(task, dataset, task.user_table, keys),
        items=_attributes(task, dataset, task.item_table, keys),
        period_us=period,
        alike=_alike(task, dataset, requests) if task.user_table == task.item_table else None,
    )
    return LinkTask(
        manifest=task,
        dataset=dataset,
        world=world,
        requests=requests,
        labelled=task.item_col in tables["test"].column_names,
    )


def _file(folder: Path, split: str) -> Path:
    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise DataError(
            f"a task without {path.name}",
            where=str(folder),
            fix="write the label tables with the package relbench: task.get_table(...)",
        )
    return path


def _requests(task: LinkManifest, rows: pa.Table, where: str) -> Requests:
    for name in (task.user_col, task.time_col):
        if name not in rows.column_names:
            raise DataError(f"no column {name!r}", where=where, found=rows.column_names)
    items: list[Ints] = [np.empty(0, dtype=np.int64)] * rows.num_rows
    if task.item_col in rows.column_names and rows.num_rows:
        column = rows[task.item_col].combine_chunks()
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            raise DataError(f"{task.item_col}: expected lists of keys, got {column.type}", where=where)
        filled = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        values = as_position(pa.chunked_array([pc.list_flatten(column)]), where).to_numpy()
        items = np.split(values, np.cumsum(filled)[:-1])
    return Requests(
        user=np.asarray(as_position(rows[task.user_col], where).to_numpy(), dtype=np.int64),
        cutoff_us=np.asarray(as_time(rows[task.time_col], where).cast("int64").to_numpy(), dtype=np.int64),
        items=items,
    )


def _labels(splits: list[Requests], period_us: int, users: int, items: int) -> Interactions:
    """The labels of train and val as interactions, known at the end of their period."""
    sizes = [np.array([len(one) for one in split.items]) for split in splits]
    user = np.concatenate([np.repeat(split.user, n) for split, n in zip(splits, sizes, strict=True)])
    at = np.concatenate([np.repeat(split.cutoff_us + period_us, n) for split, n in zip(splits, sizes, strict=True)])
    item = np.concatenate([one for split in splits for one in split.items])
    return interactions_of("label", user, item, at, users, items)


def _attributes(task: LinkManifest, dataset: DatasetManifest, table: str, keys: Keys) -> Attributes:
    """Numbers, categories and foreign keys of a table's rows, and when they became known."""
    spec, path = dataset.tables[table], dataset.folder / "db" / f"{table}.parquet"
    hidden = [column for owner, column in task.remove_columns if owner == table]
    numbers: dict[str, Floats] = {}
    groups: dict[str, Ints] = {}
    for column in table_columns(path, spec, hidden).read:
        if column.name in (spec.pkey, spec.time_col) or column.role in ("text", "ignore"):
            continue
        values = plain(read_columns(path, [column.name])[column.name]).combine_chunks()
        if column.name in spec.fkeys or pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            codes = np.asarray(pc.fill_null(pc.index_in(values, pc.drop_null(pc.unique(values))), -1).to_numpy())
            if 1 < codes.max(initial=0) <= _MOST_GROUPS and len(groups) < _MOST_ATTRIBUTES:
                groups[column.name] = codes.astype(np.int64)
        elif not pa.types.is_timestamp(values.type) and len(numbers) < _MOST_ATTRIBUTES:
            number = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
            numbers[column.name] = number
            distinct = pc.unique(pc.drop_null(values))
            if (
                pa.types.is_integer(values.type)
                and 2 < len(distinct) <= _MOST_GROUPS
                and len(groups) < _MOST_ATTRIBUTES
            ):
                groups[column.name] = np.asarray(pc.fill_null(pc.index_in(values, distinct), -1).to_numpy(), np.int64)
    since = keys.times(table) if spec.time_col is not None else None
    return Attributes(numbers=numbers, groups=groups, since_us=since)


def _alike(task: LinkManifest, dataset: DatasetManifest, requests: dict[str, Requests]) -> sp.csr_matrix | None:
    """Similar rows by their texts, of the rows that are asked about."""
    users = distinct(np.concatenate([one.user for one in requests.values()]))
    hidden = {column for owner, column in task.remove_columns if owner == task.user_table}
    return alike_rows(dataset, task.user_table, users, hidden)
