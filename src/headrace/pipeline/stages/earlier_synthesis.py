"""What synthesis takes from an earlier run: the candidates of an earlier state of the same lake.

A finished synthesis leaves `lake.json`: the batches that it read, its code and its declaration. The run that read most
of the batches of now, and no others, is the past of the next one: only rows that batches since then can have changed
are computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import CorruptError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import fingerprint
from headrace.lake.store import Snapshot
from headrace.pipeline.context import Context
from headrace.pipeline.extensions import synthesis_code
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.stage import FinishedStage, Stage, load
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.schema import Problem
from headrace.synthesis.matrix.incremental import Past

_LAKE_STATE = "lake.json"


@dataclass(frozen=True, kw_only=True)
class EarlierSynthesis:
    """A finished synthesis of an earlier state of the lake.

    Attributes:
        past: its definitions, spine and matrix.
        matrix: the same matrix, with the files that it lies in.
        batches: ids of the batches that it read, by table.
    """

    past: Past
    matrix: Candidates
    batches: Mapping[str, Any]


def lake_state(problem: Problem, snapshot: Snapshot, code: str) -> dict[str, Any]:
    """What a synthesis depends on: its code, the declaration, the tables' columns, and the batches by table."""
    return {
        "code": code,
        "extensions": synthesis_code(problem),
        "problem": fingerprint(problem),
        "schemas": {name: str(snapshot.schema(name)) for name in snapshot.tables},
        "batches": {name: [batch.id for batch in snapshot.batches(name)] for name in snapshot.tables},
    }


def write_lake_state(folder: Path, state: Mapping[str, Any], *, rows: int, computed: int) -> None:
    """Leave a record for later runs.

    Args:
        folder: of the synthesis.
        state: what it depended on.
        rows: rows of its matrix.
        computed: those of them that were not taken from an earlier run.
    """
    write_json(folder / _LAKE_STATE, {**state, "rows": rows, "computed": computed})


def find_earlier(
    stage: Stage[Any], context: Context, snapshot: Snapshot, state: Mapping[str, Any]
) -> EarlierSynthesis | None:
    """The finished synthesis that read most of a snapshot's batches and no others.

    A damaged one is passed over: its files are linked into the next run, and so would its damage be.
    """
    for earlier, finished in _earlier(stage, context, state):
        try:
            paths = {name: finished.path(name) for name in finished.sums}
        except CorruptError as error:
            text = f"{error.where}: {error.what}: synthesis takes nothing from that run"
            context.progress.damage(text)
            continue
        matrix = Candidates(finished.folder)
        past = Past(
            definitions=read_definitions(paths[DEFINITIONS]),
            spine=parquet.read(paths["spine.parquet"]),
            matrix=matrix,
        )
        return EarlierSynthesis(past=past, matrix=matrix, batches=earlier["batches"])
    return None


def _earlier(
    stage: Stage[Any], context: Context, state: Mapping[str, Any]
) -> list[tuple[Mapping[str, Any], FinishedStage[Any]]]:
    """Finished syntheses of the same code and declaration that read no other batches; the one that read most first."""
    found = list(_comparable(stage, context, state))
    return sorted(found, key=lambda item: -sum(map(len, item[0]["batches"].values())))


def _comparable(
    stage: Stage[Any], context: Context, state: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], FinishedStage[Any]]]:
    for folder in sorted((context.stages_folder / stage.name).glob("[!.]*")):
        try:
            finished = load(stage, folder)
            if finished is None:
                continue
            earlier = read_json(finished.path(_LAKE_STATE))
        except CorruptError:
            continue
        same = all(earlier.get(name) == state[name] for name in ("code", "extensions", "problem", "schemas"))
        if same and _is_within(earlier, state):
            yield earlier, finished


def _is_within(earlier: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    return all(set(batches) <= set(state["batches"].get(name, ())) for name, batches in earlier["batches"].items())


def new_rows(snapshot: Snapshot, batches: Mapping[str, Any]) -> dict[str, pa.Table]:
    """The rows of batches whose ids are not among `batches`, by table, with every column that their table has now."""
    fresh = {
        name: tuple(batch for batch in snapshot.batches(name) if batch.id not in set(batches.get(name, ())))
        for name in snapshot.tables
    }
    fresh = {name: found for name, found in fresh.items() if found}
    added = Snapshot(problem=snapshot.problem, batches=fresh, as_of_us=snapshot.as_of_us)
    return {name: _with_columns(added.table(name), snapshot.schema(name)) for name in fresh}


def _with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {
        field.name: rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    }
    return pa.table(columns)
