"""Declare a task of a RelBench folder as a problem.

| RelBench                                      | Headrace                                                   |
|-----------------------------------------------|------------------------------------------------------------|
| db/*.parquet, pkey, fkeys, time_col            | tables and relationships; a row is known at its time       |
| train, val, test.parquet                       | the spine's table, whose column `split` names the windows  |
| input: rows up to the cutoff, inclusive        | the cutoff is a microsecond later, for features see before |
| label over (cutoff, cutoff + timedelta]        | the label is known at the end, and then history            |
| database frozen at test_timestamp              | protocol `frozen` of `headrace evaluate`                   |
| remove_columns, target column of autocomplete  | not read                                                   |

Foreign keys of the entity's table are copied to the spine's rows, so that their tables have features too. What a
declaration refuses is left out: foreign keys to the own table, and those that close a circle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from headrace.core.clock import format_duration
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.problems.relbench.columns import TableColumns, alias_of, table_columns
from headrace.problems.relbench.lookbacks import history_days, lookbacks_of, timedelta_us
from headrace.problems.relbench.manifest import (
    BINARY,
    MULTICLASS,
    MULTILABEL,
    RECOMMENDATION,
    DatasetManifest,
    TaskManifest,
    is_dataset,
    is_task,
    read_dataset,
    read_task,
    task_names,
    task_type,
)
from headrace.problems.relbench.sources import DatabaseTable, key_bound
from headrace.problems.relbench.task_rows import ROW, SPLIT, TaskRows
from headrace.schema import Ensemble, EntitySet, Problem, Relationship, Splits, Table, each_row

#: Rows of the train window, and of the tune window, that a model is fitted on at most.
MAX_TRAIN_ROWS = 200_000
_AFTER = "1us"
#: Training rows up to which linear models are searched too, and an ensemble is selected.
_SMALL = 20_000
#: Nothing is served: how long a row takes does not matter.
_ANY_SLOWDOWN = 1e6


#: Task type -> what the target holds (`TaskRows`), of tasks whose label is neither a number nor a condition.
LABELS: dict[str, Literal["class", "set"]] = {MULTICLASS: "class", MULTILABEL: "set"}


def relbench_problem(folder: str | Path, task: str | None = None, *, classes: bool = False) -> Problem:
    """Declare a task of a RelBench folder.

    Args:
        folder: Folder of the data set, which holds manifest.yaml, db/ and tasks/; or folder of one of its tasks.
        task: Name of the task; may be left out where there is only one.
        classes: Whether the label may be one of several classes, or a set of labels. It is then a number for synthesis
            alone: the position of the class, or how many labels are true.

    Raises:
        DataError: A manifest is wrong, or the task is of a type that is not predicted.
        DeclarationError: The label is one of several classes or a set of labels, and `classes` is false.
        NotFoundError: There is no such folder or task.
    """
    where = Path(folder).expanduser().absolute()
    if task is None and is_task(where):
        where, task = where.parent.parent, where.name
    dataset = read_dataset(where)
    manifest = read_task(where / "tasks" / _only(where, task), dataset)
    if manifest.task_type in LABELS and not classes:
        raise DeclarationError(
            f"{manifest.task_type}: a problem predicts a number or a condition",
            where=f"{dataset.name}, task {manifest.name}",
            fix=f"`headrace evaluate {where} --task {manifest.name}` predicts classes",
        )
    return _declare(dataset, manifest)


def is_relbench(reference: str) -> bool:
    """Whether a reference of a problem names a RelBench folder: `FOLDER`, `FOLDER#TASK` or `FOLDER/tasks/TASK`."""
    folder = Path(reference.partition("#")[0])
    return is_dataset(folder) or is_task(folder)


def load_relbench(reference: str) -> Problem:
    """Declare the task that a reference names (`is_relbench`)."""
    folder, _, task = reference.partition("#")
    return relbench_problem(folder, task or None)


def link_task_folder(reference: str) -> Path | None:
    """The folder of the recommendation task that a reference names; None where it names anything else."""
    folder = _task_folder(reference)
    return folder if folder is not None and task_type(folder) == RECOMMENDATION else None


def class_problem(reference: str) -> Problem | None:
    """The problem of a task on classes or sets of labels that a reference names; None where it names anything else."""
    folder = _task_folder(reference)
    if folder is None or task_type(folder) not in LABELS:
        return None
    return relbench_problem(folder.parent.parent, folder.name, classes=True)


def _task_folder(reference: str) -> Path | None:
    if not is_relbench(reference):
        return None
    text, _, task = reference.partition("#")
    where = Path(text).expanduser().absolute()
    if not task and is_task(where):
        return where
    return where / "tasks" / _only(where, task or None)


def _only(folder: Path, task: str | None) -> str:
    names = task_names(folder)
    if task is None and len(names) == 1:
        return names[0]
    if task not in names:
        raise NotFoundError(
            f"no task {task!r}" if task else f"{len(names)} tasks",
            where=str(folder / "tasks"),
            found=names,
            fix=f"name one: {folder}#{names[0] if names else 'TASK'}",
        )
    return task


def _declare(dataset: DatasetManifest, task: TaskManifest) -> Problem:
    hidden = set(task.remove_columns)
    if task.kind == "autocomplete":
        hidden.add((task.entity_table, task.target_col))
    found = {
        name: table_columns(
            dataset.folder / "db" / f"{name}.parquet", table, [column for owner, column in hidden if owner == name]
        )
        for name, table in dataset.tables.items()
    }
    links = _links(dataset, found, str(task.entity_table))
    tables = [_database_table(dataset, task, name, found, links) for name in dataset.tables]
    spine, spine_links = _spine_table(dataset, task, found, links)
    relationships = [Relationship(f"{_table(parent)}.{key}", f"{_table(child)}.{column}")
                     for child, column, parent, key in links]  # fmt: skip
    relationships += [Relationship(f"{_table(parent)}.{key}", f"{spine.name}.{column}")
                      for column, parent, key in spine_links]  # fmt: skip
    period = timedelta_us(task)
    lookbacks = lookbacks_of(period, history_days(dataset))
    binary = task.task_type == BINARY
    small = _train_rows(task) <= _SMALL
    target, time = alias_of(task.target_col), alias_of(task.time_col)
    return Problem(
        name=_problem_name(dataset.name, task.name),
        entity_set=EntitySet(tables=(*tables, spine), relationships=tuple(relationships)),
        spine=each_row(spine.name, cutoff=f"{time} + {_AFTER}"),
        label=f"{target} == 1" if binary else target,
        metric="auc" if binary else "mae",
        lookbacks=lookbacks,
        tick=_AFTER,
        depth=2,
        max_candidates=600,
        families=() if small else ("lightgbm",),
        ensemble=Ensemble(slowdown=_ANY_SLOWDOWN) if small else None,
        splits=Splits(column=SPLIT, tune="val", test="test", max_train_rows=MAX_TRAIN_ROWS),
        path=task.folder,
    )


#: (child table, column alias, parent table, alias of its key).
Link = tuple[str, str, str, str]


def _links(dataset: DatasetManifest, found: dict[str, TableColumns], entity_table: str) -> list[Link]:
    """The foreign keys that a declaration accepts: to another table, and without a circle.

    Those of the entity's table come first, so that they are the ones that stay.
    """
    order = sorted(dataset.tables, key=lambda name: name != entity_table)
    children: dict[str, set[str]] = {}
    links = []
    for child in order:
        for column, parent in dataset.tables[child].fkeys.items():
            key = _key(dataset, found, parent)
            alias = found[child].alias(column)
            if parent == child or key is None or alias is None or _reaches(children, child, parent):
                continue
            children.setdefault(parent, set()).add(child)
            links.append((child, alias, parent, key))
    return links


def _reaches(children: dict[str, set[str]], start: str, goal: str) -> bool:
    return start == goal or any(_reaches(children, one, goal) for one in children.get(start, ()))


def _key(dataset: DatasetManifest, found: dict[str, TableColumns], name: str) -> str | None:
    pkey = dataset.tables[name].pkey if name in dataset.tables else None
    return found[name].alias(pkey) if pkey is not None else None


def _bound(dataset: DatasetManifest, parent: str) -> int:
    """What foreign keys into a table are below."""
    return key_bound(dataset.folder / "db" / f"{parent}.parquet", str(dataset.tables[parent].pkey))


def _database_table(
    dataset: DatasetManifest, task: TaskManifest, name: str, found: dict[str, TableColumns], links: Sequence[Link]
) -> Table:
    spec, columns = dataset.tables[name], found[name]
    time = columns.alias(spec.time_col) if spec.time_col is not None else None
    key = _key(dataset, found, name)
    row = None if key is not None else alias_of(task.entity_col) if name == task.entity_table else f"{_table(name)}_row"
    bounds = tuple((column, _bound(dataset, parent)) for child, column, parent, _ in links if child == name)
    source = DatabaseTable(
        path=dataset.folder / "db" / f"{name}.parquet", columns=columns.read, time=time, row=row, links=bounds
    )
    roles = {one.alias: one.role for one in columns.read if one.role is not None}
    return Table(name=_table(name), key=str(key or row), time=time, source=source, roles=roles)


def _spine_table(
    dataset: DatasetManifest, task: TaskManifest, found: dict[str, TableColumns], links: Sequence[Link]
) -> tuple[Table, list[tuple[str, str, str]]]:
    """The table of the label rows, and its links: (column, parent table, alias of the parent's key)."""
    spec, columns = dataset.tables[task.entity_table], found[task.entity_table]
    entity, time, target = (alias_of(name) for name in (task.entity_col, task.time_col, task.target_col))
    key = _key(dataset, found, task.entity_table) or entity
    lifted, spine_links = [], [(entity, task.entity_table, key)]
    names = {one.alias: one.name for one in columns.read}
    for child, column, parent, parent_key in links:
        if child == task.entity_table and column not in (entity, time, target, ROW, SPLIT):
            lifted.append((names[column], column, _bound(dataset, parent)))
            spine_links.append((column, parent, parent_key))
    source = TaskRows(
        folder=task.folder,
        entity=(task.entity_col, entity),
        time=(task.time_col, time),
        target=(task.target_col, target),
        entity_path=dataset.folder / "db" / f"{task.entity_table}.parquet",
        entity_key=spec.pkey,
        entity_time=spec.time_col,
        links=tuple(lifted),
        labels=LABELS.get(task.task_type, "number"),
    )
    targets = (target, source.class_column) if source.labels == "class" else (target,)
    name = _table(task.name)
    name = f"{name}_task" if name in map(_table, dataset.tables) else name
    period = timedelta_us(task)
    table = Table(
        name=name,
        key=ROW,
        time=time,
        tz="UTC",
        known_at=dict.fromkeys(targets, f"{time} + {format_duration(period)}"),
        source=source,
        roles={SPLIT: "id", **{column: "id" for column, _, _ in spine_links}},
    )
    return table, spine_links


def _table(name: str) -> str:
    return alias_of(name)


def _train_rows(task: TaskManifest) -> int:
    path = task.folder / "train.parquet"
    if not path.is_file():
        raise DeclarationError(
            "no train.parquet", where=str(task.folder), fix="write the label tables with the package relbench"
        )
    return int(pq.read_metadata(path).num_rows)


def _problem_name(dataset: str, task: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", f"{dataset}_{task}".lower()).strip("_")
    return (name if name[0].isalpha() else f"problem_{name}")[:60]
