"""Write a relational task for another engine: the rows that are asked, and each table with the instants of its rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.core.clock import NEVER
from headrace.evaluate.fixed_splits import TRAIN
from headrace.schema import Problem
from headrace.synthesis.history.known_time import expression_instants

if TYPE_CHECKING:
    from benchmarks.bench_relational import Asked


def export(task: Asked, folder: Path) -> None:
    """Write for another engine: the rows that are asked, and each table with the instant at which a row is whole."""
    problem = task.problem
    keys = list(problem.join_keys)
    cutoff = task.spine["cutoff"].cast(pa.timestamp("us"))
    rows = pa.table({"row": np.arange(task.spine.num_rows), **{key: task.spine[key] for key in keys}, "cutoff": cutoff,
                     "train": task.window == TRAIN, "label": task.spine["label"]})  # fmt: skip
    pq.write_table(rows, folder / "asked.parquet")
    tables, links = {}, []
    for entity in problem.all_entities:
        for table in problem.entity_set.tables:
            column = _link(problem, entity, table.name)
            if column is None or table.time is None or len(entity.join_keys) != 1:
                continue
            tables[table.name] = [one for one in task.snapshot.table(table.name).column_names if one[0] != "_"]
            links.append([entity.join_keys[0], table.name, column])
    for name in tables:
        table, history = problem.entity_set.table(name), task.snapshot.table(name)
        columns = [table.column_known(one) for one in tables[name]]
        known = np.max([expression_instants(table, one, history) for one in dict.fromkeys(columns) if one], axis=0)
        whole = known < NEVER
        out = history.select(tables[name]).append_column("known_", pa.array(np.where(whole, known, 0)))
        out = out.filter(pa.array(whole))
        at = out["known_"].cast(pa.timestamp("us"))
        pq.write_table(out.set_column(out.column_names.index("known_"), "known_", at), folder / f"{name}.parquet")
    ids = {name: [one for one in columns if one.lower() in ("row", *problem.entity_set.table(name).keys)]
           for name, columns in tables.items()}  # fmt: skip
    (folder / "spec.json").write_text(json.dumps({"links": links, "ids": ids}))


def _link(problem: Problem, entity: object, table: str) -> str | None:
    parent = getattr(entity, "parent", None)
    return problem.link(parent[0], table) if parent is not None else None
