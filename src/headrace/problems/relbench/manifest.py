"""Read the manifests of a RelBench folder: its tables with keys and times, its split times, and its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from headrace.core.errors import DataError, NotFoundError

MANIFEST = "manifest.yaml"
SPLITS = ("train", "val", "test")
#: Column of label tables that holds the position of a row whose table has no primary key, in autocomplete tasks.
POSITION = "primary_key"
#: Task types that become a problem.
BINARY, REGRESSION = "binary_classification", "regression"
MULTICLASS, MULTILABEL = "multiclass_classification", "multilabel_classification"
RECOMMENDATION = "recommendation"


@dataclass(frozen=True, kw_only=True)
class TableManifest:
    """A table: its primary key, its time column, and foreign key column -> table."""

    pkey: str | None = None
    time_col: str | None = None
    fkeys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """A data set: its tables, and the last instants of the database for validation and test (text, UTC)."""

    folder: Path
    name: str
    val_timestamp: str
    test_timestamp: str
    tables: Mapping[str, TableManifest]


@dataclass(frozen=True, kw_only=True)
class TaskManifest:
    """A task on entities.

    Attributes:
        folder: Folder of the task, with its label tables.
        name: Its name.
        kind: forecast, autocomplete or external.
        task_type: binary, multiclass or multilabel classification, or regression.
        entity_table: The table whose rows are predicted.
        entity_col: Column of the label tables that names the entity.
        time_col: Column of the label tables that holds the cutoff.
        target_col: The label.
        timedelta: Period of the label, as pandas writes it; None for autocomplete.
        remove_columns: (table, column) pairs that no feature may read.
    """

    folder: Path
    name: str
    kind: str
    task_type: str
    entity_table: str
    entity_col: str
    time_col: str
    target_col: str
    timedelta: str | None = None
    remove_columns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LinkManifest:
    """A recommendation task: which rows of one table the rows of another are linked to in a period.

    Attributes:
        folder: Folder of the task, with its label tables.
        name: Its name.
        user_table, user_col: Table of the rows that are asked about, and their column in the label tables.
        item_table, item_col: Table of the rows that are recommended, and the column of lists of them.
        time_col: Column of the label tables that holds the cutoff.
        k: Length of a list.
        timedelta: Period of a label, as pandas writes it.
        remove_columns: (table, column) pairs that must not be read.
    """

    folder: Path
    name: str
    user_table: str
    user_col: str
    item_table: str
    item_col: str
    time_col: str
    k: int
    timedelta: str | None = None
    remove_columns: tuple[tuple[str, str], ...] = ()


#: Length of a list where a task names none.
_LIST = 10


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a RelBench data set."""
    return (folder / MANIFEST).is_file() and (folder / "db").is_dir()


def is_task(folder: Path) -> bool:
    """Whether a folder is a task of a RelBench data set."""
    return (folder / MANIFEST).is_file() and is_dataset(folder.parent.parent)


def task_names(folder: Path) -> tuple[str, ...]:
    """The tasks of a data set."""
    return tuple(sorted(path.parent.name for path in folder.glob(f"tasks/*/{MANIFEST}")))


def read_dataset(folder: Path) -> DatasetManifest:
    """Read the manifest of a data set.

    Raises:
        DataError: It cannot be read, or names a file that is not there.
        NotFoundError: There is none.
    """
    facts = _read(folder / MANIFEST)
    tables = {
        str(name): TableManifest(pkey=one.get("pkey"), time_col=one.get("time_col"), fkeys=dict(one.get("fkeys") or {}))
        for name, one in (facts.get("tables") or {}).items()
    }
    for name in tables:
        if not (folder / "db" / f"{name}.parquet").is_file():
            raise DataError("a table of the manifest has no file", where=str(folder / "db" / f"{name}.parquet"))
    return DatasetManifest(
        folder=folder,
        name=_text(facts, "name", folder),
        val_timestamp=_text(facts, "val_timestamp", folder),
        test_timestamp=_text(facts, "test_timestamp", folder),
        tables=tables,
    )


def read_task(folder: Path, dataset: DatasetManifest) -> TaskManifest:
    """Read the manifest of a task.

    Raises:
        DataError: It cannot be read, or is a task that is not about rows of one table.
        NotFoundError: There is none.
    """
    facts = _read(folder / MANIFEST)
    name, task_type = _text(facts, "name", folder), _text(facts, "task_type", folder)
    if task_type not in (BINARY, REGRESSION, MULTICLASS, MULTILABEL):
        raise DataError(
            f"tasks of type {task_type} are not predicted",
            where=f"{dataset.name}, task {name}",
            found=[BINARY, REGRESSION, MULTICLASS, MULTILABEL],
            fix=f"`headrace evaluate {dataset.folder} --task {name}` recommends" if task_type == RECOMMENDATION else "",
        )
    table = _text(facts, "entity_table", folder)
    if table not in dataset.tables:
        raise DataError(f"no table {table!r}", where=f"{dataset.name}, task {name}", found=list(dataset.tables))
    spec = dataset.tables[table]
    position = POSITION if facts.get("kind") == "autocomplete" else None
    entity_col, time_col = facts.get("entity_col") or spec.pkey or position, facts.get("time_col") or spec.time_col
    if entity_col is None or time_col is None:
        raise DataError(
            "a task without entity or time column", where=f"{dataset.name}, task {name}", found=[entity_col, time_col]
        )
    return TaskManifest(
        folder=folder,
        name=name,
        kind=_text(facts, "kind", folder),
        task_type=task_type,
        entity_table=table,
        entity_col=entity_col,
        time_col=time_col,
        target_col=_text(facts, "target_col", folder),
        timedelta=facts.get("timedelta"),
        remove_columns=_pairs(facts),
    )


def task_type(folder: Path) -> str:
    """The type of a task, as its manifest names it."""
    return _text(_read(folder / MANIFEST), "task_type", folder)


def read_links(folder: Path, dataset: DatasetManifest) -> LinkManifest:
    """Read the manifest of a recommendation task.

    Raises:
        DataError: It cannot be read, or names a table that is not there.
        NotFoundError: There is none.
    """
    facts = _read(folder / MANIFEST)
    tables = {side: _text(facts, f"{side}_entity_table", folder) for side in ("src", "dst")}
    for table in tables.values():
        if table not in dataset.tables:
            raise DataError(
                f"no table {table!r}", where=f"{dataset.name}, task {folder.name}", found=list(dataset.tables)
            )
    return LinkManifest(
        folder=folder,
        name=_text(facts, "name", folder),
        user_table=tables["src"],
        user_col=_text(facts, "src_entity_col", folder),
        item_table=tables["dst"],
        item_col=_text(facts, "dst_entity_col", folder),
        time_col=str(facts.get("time_col") or "timestamp"),
        k=int(facts.get("eval_k") or _LIST),
        timedelta=facts.get("timedelta"),
        remove_columns=_pairs(facts),
    )


def _pairs(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(table), str(column)) for table, column in facts.get("remove_columns") or ())


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise NotFoundError("no manifest", where=str(path), fix="name a folder of RelBench version 3")
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"no YAML: {str(error).splitlines()[0]}", where=str(path)) from None
    if not isinstance(facts, dict):
        raise DataError(f"the manifest holds a {type(facts).__name__}", where=str(path))
    return facts


def _text(facts: Mapping[str, Any], name: str, folder: Path) -> str:
    if facts.get(name) is None:
        raise DataError(f"the manifest has no {name!r}", where=str(folder / MANIFEST), found=list(facts))
    return str(facts[name])
