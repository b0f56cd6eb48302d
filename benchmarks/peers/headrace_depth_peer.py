"""Headrace on featuretools' own list of features (names.json), two levels down, on one thread."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from depth_world import CATEGORIES, KEYS, RELATIONSHIPS, TIMES
from protocol import clock, folder, report

from headrace.core.clock import BEFORE_ALL
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.featuretools import featuretools_matrix, parse
from headrace.synthesis.language.columns import column_kinds

PROBLEM = Problem(
    name="depth",
    entity_set=EntitySet(
        tables=(
            *(
                Table(
                    name=name,
                    key=key,
                    time=TIMES[name],
                    source="-",
                    roles=dict.fromkeys(CATEGORIES[name], "categorical")
                    | {column: "id" for _, child, column in RELATIONSHIPS if child == name},
                )
                for name, key in KEYS.items()
            ),
            Table(name="asked", key="row", time="cutoff", source="-", roles={"customer_id": "id"}),
        ),
        relationships=(
            *(Relationship(f"{parent}.{column}", f"{child}.{column}") for parent, child, column in RELATIONSHIPS),
            Relationship("customers.customer_id", "asked.customer_id"),
        ),
    ),
    spine=each_row("asked", cutoff="cutoff"),
    label="row",
    metric="rmse",
)


class Snapshot:
    """The tables as a lake would give them."""

    def __init__(self) -> None:
        self.tables = {name: pq.read_table(folder() / f"{name}.parquet") for name in KEYS}
        for name, rows in self.tables.items():
            rows = rows.append_column("_arrival", pa.array(np.full(rows.num_rows, BEFORE_ALL)))
            self.tables[name] = rows.append_column("_order", pa.array(np.arange(rows.num_rows)))

    def table(self, name: str) -> pa.Table:
        return self.tables[name]


def main() -> None:
    snapshot, asked = Snapshot(), pq.read_table(folder() / "asked.parquet")
    schemas = {name: rows.schema for name, rows in snapshot.tables.items()} | {"asked": asked.schema}
    kinds = column_kinds(PROBLEM, schemas)
    names = json.loads((folder() / "names.json").read_text())
    features = [parse(PROBLEM, kinds, "customer_id", name) for name in names]
    keys = pa.table({"customer_id": asked["customer_id"], "tick": asked["cutoff"]})
    taken = []
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 2):
        started = clock()
        values = featuretools_matrix(
            PROBLEM, features, keys, snapshot, LocalEngine(threads=1), include_cutoff_time=False
        )
        taken.append(clock() - started)
    pq.write_table(values.add_column(0, "row", asked["row"]), folder() / "values.parquet")
    report(taken[-1], cold=taken[0], features=len(features))


if __name__ == "__main__":
    main()
