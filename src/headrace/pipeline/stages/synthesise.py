"""The stage `synthesise`: the spine of training rows, and every candidate feature computed for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core import parquet
from headrace.lake.store import Snapshot
from headrace.pipeline.context import Context
from headrace.pipeline.extensions import synthesis_code
from headrace.pipeline.production.definitions import DEFINITIONS, table_schemas, write_definitions
from headrace.pipeline.stage import Inputs, Stage, code_of, running_code
from headrace.pipeline.stages.candidate_matrix import SINGLE_FILE, write_carried
from headrace.pipeline.stages.earlier_synthesis import find_earlier, lake_state, new_rows, write_lake_state
from headrace.pipeline.stages.ingest import INGEST, training_snapshot
from headrace.pipeline.stages.table_digest import table_digest
from headrace.pipeline.stages.used_rows import used_rows
from headrace.synthesis.candidates.enumerate import enumerate_candidates
from headrace.synthesis.history.joins import check_joins
from headrace.synthesis.history.labels import require_two_values
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.matrix.incremental import carry_over
from headrace.synthesis.matrix.written import fits, write_matrix
from headrace.synthesis.spine.build import build_spine
from headrace.synthesis.spine.staleness import with_stale_ticks

#: The training rows: key, cutoff, tick, label and when it was known.
SPINE = "spine.parquet"


@dataclass(frozen=True, kw_only=True)
class SynthesiseOutput:
    """The candidates' matrix lies beside this (`candidate_matrix`).

    Attributes:
        rows: training rows, all with a mature label.
        censored: rows whose label never came.
        candidates: features.
        warnings: about the declaration and the data, for people.
        spine_digest: of the rows' cutoffs and labels.
    """

    rows: int
    censored: int
    candidates: int
    warnings: tuple[str, ...]
    spine_digest: str


def _run(context: Context, inputs: Inputs, folder: Path) -> SynthesiseOutput:
    problem, snapshot = context.problem, training_snapshot(context, inputs)
    until = inputs[INGEST].output.until_us
    unmatched = [join.message for join in check_joins(problem, snapshot) if join.message]
    spine = build_spine(problem, snapshot, end_us=until, now_us=until, engine=context.engine)
    training = with_stale_ticks(problem, used_rows(problem, spine.filter(spine["mature"])))
    require_two_values(problem, training["label"].to_numpy())
    offered = enumerate_candidates(problem, table_schemas(problem, snapshot), snapshot)
    censored = int(pc.sum(spine["censored"]).as_py() or 0)
    del spine
    parquet.write(training, folder / SPINE)
    computed = _write_candidates(context, offered.definitions, training, snapshot, folder)
    write_definitions(folder / DEFINITIONS, offered.definitions)
    state = lake_state(problem, snapshot, code_of(SYNTHESISE, running_code(context)))
    write_lake_state(folder, state, rows=training.num_rows, computed=computed)
    return SynthesiseOutput(
        rows=training.num_rows,
        censored=censored,
        candidates=len(offered.definitions),
        warnings=(*unmatched, *offered.warnings),
        spine_digest=table_digest(training.select(["cutoff", "label"])),
    )


def _write_candidates(
    context: Context, definitions: Sequence[Definition], training: pa.Table, snapshot: Snapshot, folder: Path
) -> int:
    """Write the candidates' matrix; returns how many of its rows were computed.

    Rows that an earlier run has computed and that no batch since then can have changed are taken from it, where the
    whole matrix fits into memory.
    """
    problem, engine = context.problem, context.engine
    state = lake_state(problem, snapshot, code_of(SYNTHESISE, running_code(context)))
    found = find_earlier(SYNTHESISE, context, snapshot, state)
    if found is None or not fits(problem, definitions, training, snapshot, engine):
        write_matrix(problem, definitions, training, snapshot, engine, folder / SINGLE_FILE)
        return int(training.num_rows)
    news = new_rows(snapshot, found.batches)
    carried = carry_over(problem, definitions, training, snapshot, news, found.past, engine)
    write_carried(folder, carried, found.matrix)
    return carried.again


SYNTHESISE = Stage(
    name="synthesise",
    output=SynthesiseOutput,
    run=_run,
    needs=(INGEST,),
    code=("headrace.synthesis.engines",),
    parameters=lambda context: {"extensions": synthesis_code(context.problem)},
)
