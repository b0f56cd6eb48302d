"""What synthesis may take over from an earlier run: the candidates of an earlier state of the same lake.

A finished synthesis leaves `lake.json`: which batches it saw, and by which code and declaration. The one that saw most
of what is there now is the past of the next; only rows that batches since then can have changed are computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import CorruptError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import code_version, fingerprint
from headrace.lake.store import Snapshot
from headrace.pipeline.context import Context
from headrace.pipeline.extensions import synthesis_code
from headrace.pipeline.stage import Done, load
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.synthesis.language.definitions import from_json
from headrace.synthesis.matrix.incremental import Past

SEEN = "lake.json"


def leave_record(
    folder: Path, context: Context, snapshot: Snapshot, code: tuple[str, ...], *, rows: int, computed: int
) -> None:
    """Say what a synthesis saw, for those that come after it. computed: of its rows, those not taken over."""
    write_json(folder / SEEN, {**_seen(context, snapshot, code), "rows": rows, "computed": computed})


def find_past(
    context: Context, snapshot: Snapshot, code: tuple[str, ...]
) -> tuple[Past, Candidates, Mapping[str, pa.Table]] | None:
    """The finished synthesis that saw most of a snapshot's batches and no other, its matrix, and the versions since.

    A damaged one is passed over: the files that are taken from it are linked, and so would its damage be.
    """
    for then, done in _earlier(context, _seen(context, snapshot, code)):
        try:
            paths = {name: done.path(name) for name in done.sums}
        except CorruptError as error:
            context.on_damage(f"{error.where}: {error.what}: synthesis takes over nothing from that run")
            continue
        matrix = Candidates(done.folder)
        past = Past(
            definitions=tuple(from_json(item) for item in read_json(paths["definitions.json"])),
            spine=parquet.read(paths["spine.parquet"]),
            matrix=matrix,
        )
        return past, matrix, _since(snapshot, then["batches"])
    return None


def _earlier(context: Context, now: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Done]]:
    """Finished syntheses of the same code and declaration that saw no other batches, the one that saw most first."""
    found = []
    for folder in sorted((context.stages_folder / "synthesise").glob("[!.]*")):
        try:
            done = load(folder, "synthesise")
            then = read_json(done.path(SEEN)) if done is not None else None
        except CorruptError:
            continue
        if (
            then
            and all(then.get(name) == now[name] for name in ("code", "extensions", "problem", "schemas"))
            and _within(then, now)
        ):
            found.append((sum(map(len, then["batches"].values())), then, done))
    return [(then, done) for _, then, done in sorted(found, key=lambda item: -item[0]) if done is not None]


def _seen(context: Context, snapshot: Snapshot, code: tuple[str, ...]) -> dict[str, Any]:
    return {
        "code": code_version(code),
        "extensions": synthesis_code(context.problem),
        "problem": fingerprint(context.problem),
        "schemas": {name: str(snapshot.table(name).schema) for name in snapshot.tables},
        "batches": {name: [batch.id for batch in snapshot.batches(name)] for name in snapshot.tables},
    }


def _within(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return all(set(seen) <= set(now["batches"].get(name, ())) for name, seen in then["batches"].items())


def _since(snapshot: Snapshot, seen: Mapping[str, Any]) -> dict[str, pa.Table]:
    """The rows of batches that were not there yet, with every column that their table has now."""
    fresh = {
        name: tuple(batch for batch in snapshot.batches(name) if batch.id not in set(seen.get(name, ())))
        for name in snapshot.tables
    }
    fresh = {name: batches for name, batches in fresh.items() if batches}
    news = Snapshot(problem=snapshot.problem, batches=fresh, as_of_us=snapshot.as_of_us)
    return {name: _widened(news.table(name), snapshot.table(name).schema) for name in fresh}


def _widened(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {
        field.name: rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    }
    return pa.table(columns)
