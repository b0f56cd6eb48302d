"""Write folders of RelBench's form from random numbers: tables and tasks as `schemas` declares them.

Every row of an event table belongs to entities whose activity differs and changes slowly, so labels can be predicted
from history. Foreign keys have gaps, time columns empty values, and texts, lists, infinite numbers occur, as in real
folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

_WORDS = np.array(
    [
        "late",
        "large",
        "study",
        "safe",
        "event",
        "post",
        "user",
        "answer",
        "shop",
        "beer",
        "race",
        "drug",
        "dose",
        "city",
        "page",
        "link",
        "vote",
        "red",
    ]
)


@dataclass(frozen=True, kw_only=True)
class MadeTable:
    """A table.

    Attributes:
        rows: Number of rows; times `scale` for event tables.
        columns: Name -> kind, the first word of it: int, float, category, text, name, bool, list, time, number_or_null.
        pkey: Primary key, whose values are positions.
        time: Time column.
        fkeys: Column -> parent table.
        scales: Whether the number of rows grows with `scale`.
        time_of: Foreign key whose row's time this row has; it then comes `after` that.
    """

    rows: int
    columns: Mapping[str, str] = field(default_factory=dict)
    pkey: str | None = None
    time: str | None = None
    fkeys: Mapping[str, str] = field(default_factory=dict)
    scales: bool = True
    time_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class MadeTask:
    """A task. facts: of its manifest; sql: labels, with the view `timestamps(timestamp)` and `{timedelta}`."""

    name: str
    facts: Mapping[str, Any]
    sql: str = ""


@dataclass(frozen=True, kw_only=True)
class MadeDataset:
    """A data set. start, val, test, end: dates. train_cutoffs: most cutoffs of the train split."""

    name: str
    start: str
    val: str
    test: str
    end: str
    tables: Mapping[str, MadeTable]
    tasks: tuple[MadeTask, ...]
    train_cutoffs: int = 8


def write_dataset(folder: Path, made: MadeDataset, *, scale: float = 1.0, seed: int = 0) -> Path:
    """Write manifest.yaml, db/ and tasks/; returns the folder.

    Args:
        folder: Made here.
        made: What is written.
        scale: Multiplies the rows of event tables.
        seed: Of everything.
    """
    rng = np.random.default_rng(seed)
    (folder / "db").mkdir(parents=True)
    frames: dict[str, pd.DataFrame] = {}
    for name, table in made.tables.items():
        frames[name] = _rows(made, table, frames, rng, scale)
        schema = pa.Schema.from_pandas(frames[name], preserve_index=False)
        pq.write_table(
            pa.Table.from_pandas(frames[name], schema, preserve_index=False), folder / "db" / f"{name}.parquet"
        )
    manifest = {
        "name": made.name, "manifest_version": 1, "val_timestamp": made.val, "test_timestamp": made.test,
        "tables": {name: {"pkey": one.pkey, "time_col": one.time, "fkeys": dict(one.fkeys)}
                   for name, one in made.tables.items()},
    }  # fmt: skip
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    for task in made.tasks:
        _write_task(folder, made, task, frames)
    return folder


def _rows(
    made: MadeDataset, table: MadeTable, frames: Mapping[str, pd.DataFrame], rng: np.random.Generator, scale: float
) -> pd.DataFrame:
    n = max(int(table.rows * scale), 2) if table.scales else table.rows
    columns: dict[str, Any] = {}
    start, end = pd.Timestamp(made.start), pd.Timestamp(made.end)
    order = np.sort(rng.random(n))
    for name, parent in table.fkeys.items():
        columns[name] = _parents(n, len(frames[parent]) if parent in frames else n, order, rng, parent in frames)
    if table.time is not None:
        at = start + pd.to_timedelta((order * (end - start).total_seconds()).astype(np.int64), unit="s")
        if table.time_of is not None:
            parent = made.tables[table.fkeys[table.time_of]]
            keys = columns[table.time_of].fillna(0).astype(int).to_numpy()
            at = frames[table.fkeys[table.time_of]][parent.time].to_numpy()[keys]
        columns[table.time] = at
    signal = np.zeros(n)
    for name in table.fkeys:
        if table.fkeys[name] in frames:
            signal = signal + np.sin(columns[name].fillna(0).to_numpy(dtype=float) * 1.7)
    for name, kind in table.columns.items():
        columns[name] = _values(kind, n, signal, rng, start, end)
    if table.pkey is not None:
        columns[table.pkey] = np.arange(n)
    return pd.DataFrame(columns)


def _parents(n: int, size: int, order: Any, rng: np.random.Generator, known: bool) -> pd.Series:
    """Keys of parents: some are far more active than others, their activity drifts, and a few are empty."""
    if not known:  # a self reference: an earlier row
        keys = np.floor(rng.random(n) * np.arange(n)).astype(np.int64)
        return pd.Series(keys, dtype="Int64").mask(rng.random(n) < 0.5)
    rank = np.minimum((size * rng.random(n) ** 2.5).astype(np.int64), size - 1)
    keys = (rank + (order * size * 0.3).astype(np.int64)) % size
    empty = rng.random(n) < 0.01
    return (
        pd.Series(keys, dtype="Int64").mask(empty) if rng.random() < 0.5 else pd.Series(keys, dtype=float).mask(empty)
    )


def _values(kind: str, n: int, signal: Any, rng: np.random.Generator, start: Any, end: Any) -> Any:
    word, _, rest = kind.partition(" ")
    size = int(rest or 5)
    if word == "int":
        return np.clip(np.round(signal * size / 6 + rng.random(n) * size), 0, size).astype(np.int64)
    if word == "float":
        return np.where(rng.random(n) < 0.001, np.inf, signal + rng.normal(size=n))
    if word == "number_or_null":
        return pd.Series(np.round(signal * 3 + rng.normal(size=n) * 3)).mask(rng.random(n) < 0.3)
    if word == "category":
        return np.array([f"kind {i}" for i in range(size)], dtype=object)[
            np.clip((signal * size / 4 + rng.random(n) * size), 0, size - 1).astype(int)
        ]
    if word == "bool":
        return pd.Series(signal + rng.normal(size=n) > 0.5, dtype="boolean").mask(rng.random(n) < 0.05)
    if word == "text":
        words = _WORDS[rng.integers(0, len(_WORDS), (n, size))]
        words[signal > 0.5, 0] = "excellent"
        return pd.Series([" ".join(row) for row in words], dtype=object).mask(rng.random(n) < 0.05)
    if word == "name":
        return np.array([f"name {i}" for i in rng.permutation(n)], dtype=object)
    if word == "list":
        return [[f"c{i}" for i in row] for row in rng.integers(0, 5, (n, 2))]
    if word == "time":
        days = (end - start).days
        return pd.Series(start + pd.to_timedelta(rng.integers(0, days, n), unit="D")).mask(rng.random(n) < 0.2)
    raise ValueError(kind)


def _write_task(folder: Path, made: MadeDataset, task: MadeTask, frames: Mapping[str, pd.DataFrame]) -> None:
    place = folder / "tasks" / task.name
    place.mkdir(parents=True)
    facts = {"name": task.name, "manifest_version": 1, **task.facts, **({"sql": task.sql} if task.sql else {})}
    (place / "manifest.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    splits = _forecast(made, task, frames) if task.sql else _autocomplete(made, task, frames)
    for split, rows in splits.items():
        rows.to_parquet(place / f"{split}.parquet", index=False)


def _forecast(made: MadeDataset, task: MadeTask, frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    period, evaluations = pd.Timedelta(task.facts["timedelta"]), int(task.facts.get("num_eval_timestamps", 1))
    val, test = pd.Timestamp(made.val), pd.Timestamp(made.test)
    times = {
        "train": pd.date_range(val - period, pd.Timestamp(made.start), freq=-period)[: made.train_cutoffs],
        "val": pd.DatetimeIndex([val + i * period for i in range(evaluations) if val + i * period <= test - period]),
        "test": pd.DatetimeIndex([test + i * period for i in range(evaluations)]),
    }
    keys = [task.facts.get(name) for name in ("time_col", "entity_col", "src_entity_col")]
    splits = {}
    for split, cutoffs in times.items():
        connection = duckdb.connect()
        connection.register("timestamps", pd.DataFrame({"timestamp": cutoffs}))
        for name, rows in frames.items():
            connection.register(name, rows)
        rows = connection.sql(task.sql.replace("{timedelta}", str(period))).df()
        connection.close()
        splits[split] = rows.sort_values([key for key in keys if key in rows]).reset_index(drop=True)
    return splits


def _autocomplete(made: MadeDataset, task: MadeTask, frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    table = made.tables[task.facts["entity_table"]]
    key = table.pkey or "primary_key"
    frame = frames[task.facts["entity_table"]]
    rows = frame.assign(**{key: np.arange(len(frame))})[[str(table.time), key, task.facts["target_col"]]].dropna()
    val, test = pd.Timestamp(made.val), pd.Timestamp(made.test)
    at = rows[str(table.time)]
    return {"train": rows[at <= val], "val": rows[(at > val) & (at <= test)], "test": rows[at > test]}
