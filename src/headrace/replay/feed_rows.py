"""Replay the feed of a period of production: ingest it by batch, and compute every row's features at its own tick.

The replay has a home of its own below the problem's (`replays/<problem>/<key>`), so production is not touched. The
stages ingest, synthesise and select run as in the main job, on the history before the start; then the feed's batches
are validated and ingested one after another. Rows are read at the end: a value counts from the instant at which it was
known, so a row's features are those that production computed at its tick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core import parquet
from headrace.core.clock import iso
from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import staged_folder
from headrace.core.home import open_home
from headrace.core.manifest import check_manifest, write_manifest
from headrace.lake.store import Lake, keep_local
from headrace.models.entity_keys import ENTITY, entity_columns
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.walker import PipelineRun
from headrace.replay.plan import ReplayPlan, replayed_problem
from headrace.replay.rows import ReplayRows
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine

_MATRIX, _SPINE = "matrix.parquet", "spine.parquet"


def feed_rows(context: Context, plan: ReplayPlan, folder: Path, say: Callable[[str], None]) -> ReplayRows:
    """Ingest the feed and compute the rows of the period, or read them where an earlier replay wrote them.

    Args:
        context: of the problem.
        plan: the period.
        folder: of this replay, which holds its home.
        say: receives how far it is, for people.
    """
    home = folder / "home"
    open_home(home)
    keep_local(home)
    inside = replace(context, root=home, problem=replayed_problem(context.problem, plan), until_us=None, recipe_of=None)
    say("the history before the start: ingest, synthesise, select")
    run = PipelineRun(inside, (INGEST, SYNTHESISE, SELECT))
    selected = run.folder(SELECT) / DEFINITIONS
    written = folder / "rows"
    if not _whole(written):
        _ingest_all(inside, plan, say)
        say("features of every row at its own tick")
        _write_rows(inside, plan, read_definitions(selected), written)
    return _read_rows(plan, read_definitions(selected), written)


def _whole(folder: Path) -> bool:
    try:
        check_manifest(folder)
    except (NotFoundError, CorruptError):
        return False
    return True


def _ingest_all(context: Context, plan: ReplayPlan, say: Callable[[str], None]) -> None:
    """Ingest the feed's batches up to the instant at which everything is known."""
    lake = Lake(context.root, context.problem.name)
    while (clock := lake.clock()) is not None and clock <= plan.known_us:
        say(f"ingest {iso(clock)}")
        feed_step(context)


def _write_rows(context: Context, plan: ReplayPlan, definitions: tuple[Definition, ...], folder: Path) -> None:
    problem, snapshot = context.problem, Lake(context.root, context.problem.name).snapshot()
    spine = build_spine(problem, snapshot, end_us=plan.end_us, now_us=plan.known_us + 1, engine=context.engine)
    matrix = feature_matrix(problem, definitions, spine, snapshot, context.engine)
    keys = {name: spine[name].to_pylist() for name in problem.join_keys if name in spine.column_names}
    digests = entity_columns(keys, {entity.name: entity.join_keys for entity in problem.all_entities})
    times = {name: spine[name] for name in ("cutoff", "label", "label_known")}
    with staged_folder(folder) as staged:
        parquet.write(matrix, staged / _MATRIX, compression="lz4")
        parquet.write(pa.table({**times, **digests}), staged / _SPINE, compression="lz4")
        write_manifest(staged)


def _read_rows(plan: ReplayPlan, definitions: tuple[Definition, ...], folder: Path) -> ReplayRows:
    spine = parquet.read(folder / _SPINE)
    return ReplayRows(
        matrix=parquet.read(folder / _MATRIX),
        definitions=definitions,
        label=spine["label"].to_numpy(zero_copy_only=False).astype(np.float64),
        cutoffs_us=spine["cutoff"].to_numpy(),
        known_us=spine["label_known"].to_numpy(),
        entities={name: spine[name].to_numpy() for name in spine.column_names if name.startswith(ENTITY)},
        start_us=plan.start_us,
    )
