"""The stage `synthesise`: compute every candidate feature for the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core import parquet
from headrace.core.files import write_json
from headrace.lake.store import Snapshot
from headrace.pipeline.context import Context
from headrace.pipeline.extensions import synthesis_code
from headrace.pipeline.production.feature_matrix import content_digest, schemas
from headrace.pipeline.stage import Needs, Stage
from headrace.pipeline.stages.candidate_matrix import ONE, write_carried
from headrace.pipeline.stages.earlier_synthesis import find_past, leave_record
from headrace.pipeline.stages.inputs import snapshot_of
from headrace.synthesis.candidates.enumerate import offer
from headrace.synthesis.history.joins import check_joins
from headrace.synthesis.history.labels import require_two_values
from headrace.synthesis.language.definitions import Definition, to_json
from headrace.synthesis.matrix.incremental import carry_over
from headrace.synthesis.matrix.written import fits, write_matrix
from headrace.synthesis.spine.build import build_spine

_SYNTHESIS = ("headrace.synthesis", "headrace.lake", "headrace.schema")


def _synthesise(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    problem, snapshot = context.problem, snapshot_of(context, needs["ingest"])
    until = needs["ingest"].facts["until_us"]
    lonely = check_joins(problem, snapshot)
    spine = build_spine(problem, snapshot, end_us=until, now_us=until, engine=context.engine)
    training = spine.filter(spine["mature"])
    require_two_values(problem, training["label"].to_numpy())
    offered = offer(problem, schemas(problem, snapshot), snapshot)
    definitions, warnings = offered.definitions, (*lonely, *offered.warnings)
    censored = int(pc.sum(spine["censored"]).as_py() or 0)
    del spine
    parquet.write(training, folder / "spine.parquet")
    computed = _write_candidates(context, definitions, training, snapshot, folder)
    write_json(folder / "definitions.json", [to_json(item) for item in definitions])
    leave_record(folder, context, snapshot, _SYNTHESIS, rows=training.num_rows, computed=computed)
    return {
        "rows": training.num_rows,
        "censored": censored,
        "candidates": len(definitions),
        "warnings": list(warnings),
        "spine_digest": content_digest(training.select(["cutoff", "label"])),
    }


def _write_candidates(
    context: Context, definitions: Sequence[Definition], training: pa.Table, snapshot: Snapshot, folder: Path
) -> int:
    """The candidates' matrix on disk, and how many of its rows had to be computed: what an earlier run has computed
    and no batch since then can have changed is taken over, where the whole fits into memory."""
    problem, engine = context.problem, context.engine
    found = find_past(context, snapshot, _SYNTHESIS)
    if found is None or not fits(problem, definitions, training, snapshot, engine):
        write_matrix(problem, definitions, training, snapshot, engine, folder / ONE)
        return int(training.num_rows)
    past, before, news = found
    carried = carry_over(problem, definitions, training, snapshot, news, past, engine)
    write_carried(folder, carried, before)
    return carried.again


SYNTHESISE = Stage(
    name="synthesise",
    run=_synthesise,
    needs=("ingest",),
    code=_SYNTHESIS,
    parameters=lambda context: {"extensions": synthesis_code(context.problem)},
)
