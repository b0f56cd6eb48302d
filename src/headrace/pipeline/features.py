"""Synthesise candidates, select, publish to the store, and read the training set back through it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core import parquet
from headrace.core.errors import CorruptError, DataError, NotFoundError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import fingerprint
from headrace.evaluate.splits import Windows, time_windows
from headrace.lake.store import Lake, Snapshot
from headrace.pipeline.candidates import ONE, Candidates, write_carried
from headrace.pipeline.carrying import find_past, leave_record
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Done, Needs, Stage
from headrace.schema import Problem
from headrace.synthesis.candidates.enumerate import offer
from headrace.synthesis.engines.local import LocalEngine
from headrace.synthesis.history.joins import check_joins
from headrace.synthesis.history.labels import require_two_values
from headrace.synthesis.language.definitions import Definition, from_json, stored, to_json
from headrace.synthesis.matrix.incremental import carry_over
from headrace.synthesis.matrix.written import fits, write_matrix
from headrace.synthesis.primitives.finish import finish
from headrace.synthesis.selection.select import select
from headrace.synthesis.spine.build import build_spine

_SYNTHESIS = ("headrace.synthesis", "headrace.lake", "headrace.schema")


def snapshot_of(context: Context, ingested: Done) -> Snapshot:
    """The history that training sees."""
    return Lake(context.root, context.problem.name).snapshot(ingested.facts["until_us"])


def read_definitions(path: Path) -> tuple[Definition, ...]:
    """Definitions from a JSON list."""
    return tuple(from_json(item) for item in read_json(path))


def schemas(problem: Problem, snapshot: Snapshot) -> dict[str, pa.Schema]:
    """The Arrow schema of every table, as it lies in the lake."""
    return {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}


def content_digest(table: pa.Table) -> str:
    """sha256 of a table's names, types and values; independent of how it is chunked, sliced or compressed."""
    digest = hashlib.sha256(str(table.schema.remove_metadata()).encode())
    for column in table.columns:
        values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        digest.update(np.packbits(values.is_valid().to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_floating(values.type):
            numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
            digest.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())
        elif pa.types.is_primitive(values.type) and not pa.types.is_boolean(values.type):
            digest.update(values.cast(pa.int64()).fill_null(0).to_numpy().tobytes())
        else:
            digest.update("\x00".join(values.cast(pa.string()).fill_null("").to_pylist()).encode())
    return digest.hexdigest()


def _synthesise(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    problem, snapshot = context.problem, snapshot_of(context, needs["ingest"])
    until = needs["ingest"].facts["until_us"]
    lonely = check_joins(problem, snapshot)
    spine = build_spine(problem, snapshot, end_us=until, now_us=until)
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
    problem, limit, engine = context.problem, context.max_memory, LocalEngine(told=context.on_synthesis)
    found = find_past(context, snapshot, _SYNTHESIS)
    if found is None or not fits(problem, definitions, training, snapshot, engine, limit):
        write_matrix(problem, definitions, training, snapshot, engine, folder / ONE, max_memory=limit)
        return int(training.num_rows)
    past, before, news = found
    carried = carry_over(problem, definitions, training, snapshot, news, past, engine)
    write_carried(folder, carried, before)
    return carried.again


SYNTHESISE = Stage(name="synthesise", run=_synthesise, needs=("ingest",), code=_SYNTHESIS)


def windows_of(context: Context, needs: Needs) -> Windows:
    """The train, tune and gate windows of the training rows."""
    spine = parquet.read(needs["synthesise"].path("spine.parquet"), columns=["cutoff", "label_known", "label"])
    return time_windows(
        spine["cutoff"].to_numpy(),
        spine["label_known"].to_numpy(),
        needs["ingest"].facts["until_us"],
        labels=spine["label"].to_numpy() if context.problem.label_expression.binary else None,
        tune_share=context.problem.tune_share,
        gate_share=context.problem.gate_share,
    )


def shares_of(context: Context) -> list[float]:
    """What the windows depend on besides the rows: a parameter of each stage that reads them."""
    return [context.problem.tune_share, context.problem.gate_share]


def _select(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """Features chosen on the train and tune windows: one that had been chosen on the gate would pass it by that."""
    made, windows = needs["synthesise"], windows_of(context, needs)
    definitions = read_definitions(made.path("definitions.json"))
    written = Candidates(made.folder, made.path)
    candidates = written.table() if context.max_memory is None else written
    label = parquet.read(made.path("spine.parquet"), columns=["label"])["label"].to_numpy()
    selection = select(
        candidates,
        label,
        definitions,
        max_features=context.problem.max_features,
        seed=context.seed,
        threads=context.workers,
        rows=np.concatenate([windows.train, windows.tune]),
    )
    kept = [to_json(item) for item in selection.kept]
    write_json(folder / "definitions.json", kept)
    write_json(folder / "ledger.json", selection.ledger)
    service = fingerprint(kept)[:10]  # the store puts the problem's name before it
    return {"kept": len(kept), "candidates": len(definitions), "service": service}


SELECT = Stage(
    name="select",
    run=_select,
    needs=("ingest", "synthesise"),
    code=("headrace.synthesis", "headrace.evaluate.splits"),
    parameters=lambda context: {
        "max_features": context.problem.max_features,
        "seed": context.seed,
        "shares": shares_of(context),
    },
)


def _publish(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    from headrace.store.publish import publish

    selected = needs["select"]
    service = selected.facts["service"]
    publish(
        context.root,
        context.problem,
        read_definitions(selected.path("definitions.json")),
        service,
        reference=context.reference,
    )
    return {"service": service}


def _published(context: Context, facts: Mapping[str, Any]) -> bool:
    from headrace.store.published import read_published
    from headrace.store.registered import is_registered

    try:
        published = read_published(context.root, context.problem.name)
    except (NotFoundError, CorruptError):
        return False
    service = facts["service"]
    return service in published.services and is_registered(context.root, context.problem.name, service)


PUBLISH = Stage(
    name="publish",
    run=_publish,
    needs=("select",),
    code=("headrace.store",),
    parameters=lambda context: {"reference": context.reference},
    standing=_published,
)


def finished_matrix(context: Context, service: str, definitions: tuple[Definition, ...], spine: pa.Table) -> pa.Table:
    """Model input for spine rows [n rows, one column per definition], read through the store."""
    from headrace.store.training import training_features

    read = training_features(context.root, context.problem, service, spine)
    values = {item.slug: read[item.slug] for item in stored(definitions)}
    row = {name: spine[name] for name in spine.column_names}
    return finish(definitions, values, row, spine["tick"].to_numpy(), spine["cutoff"].to_numpy())


def _training_set(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    from headrace.quality.check import validate_training_set

    selected = needs["select"]
    definitions = read_definitions(selected.path("definitions.json"))
    spine = parquet.read(needs["synthesise"].path("spine.parquet"))
    matrix = finished_matrix(context, selected.facts["service"], definitions, spine)
    if matrix.num_rows != spine.num_rows:
        raise DataError(f"the store returned {matrix.num_rows} rows for {spine.num_rows}", where=context.problem.name)
    training = matrix.append_column("label", spine["label"])
    validate_training_set(context.problem, training, context.root / "quality" / context.problem.name).require()
    parquet.write(training, folder / "training.parquet", compression="lz4")
    return {"rows": training.num_rows, "features": matrix.num_columns, "sha256": content_digest(training)}


TRAINING_SET = Stage(
    name="training-set",
    run=_training_set,
    needs=("synthesise", "select", "publish"),
    code=("headrace.store", "headrace.synthesis", "headrace.lake", "headrace.quality"),
)
