"""`headrace late`: report which past training rows late and corrected data would have changed, and by how much."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of
from headrace.cli.parameters import parse_instant
from headrace.core import parquet
from headrace.core.clock import iso, parse_duration
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.core.files import staged_folder
from headrace.lake.keys import key_value
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.definitions import table_schemas
from headrace.registry.ledger import Ledger
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import engine_of
from headrace.synthesis.explanation.description import duration_words
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.matrix.late import LateReport, late_report

_MAX_ROWS = 10


def show_late(
    reference: str, home: Path | None, *, since: str | None, grace: str | None, out: Path | None, as_json: bool
) -> None:
    """Print the report, or its JSON; write the changed rows to a new folder where one is given."""
    context = context_of(reference, home)
    lake = Lake(context.root, context.problem.name)
    now = lake.clock()
    if now is None:
        raise NotFoundError("nothing was loaded yet", where=context.problem.name, fix=f"run `headrace run {reference}`")
    report = late_report(
        context.problem,
        _definitions(context),
        lake.snapshot(now),
        engine_of(context.problem, threads=context.workers),
        now_us=now,
        since_us=parse_instant(since, "--since"),
        grace_us=0 if grace is None else parse_duration(grace),
    )
    if out is not None:
        _write_rows(report, out)
    if as_json:
        print(json.dumps(_facts(report), indent=2, default=_spell))
    else:
        _show(report, context.problem.name)


def _definitions(context: Context) -> Sequence[Definition]:
    """Return the champion's features; all candidates where there is no champion yet."""
    champion = Ledger(context.root, context.problem.name).champion()
    if champion is not None:
        return champion_bundle(context, champion).definitions
    return enumerate_definitions(
        context.problem, table_schemas(context.problem, Lake(context.root, context.problem.name).snapshot())
    )


def _write_rows(report: LateReport, out: Path) -> None:
    if out.exists():
        raise DeclarationError(f"{out} is there already", where="--out", fix="name a new folder")
    changed = pa.array(report.changed)
    with staged_folder(out) as staged:
        for name, matrix in (("was", report.was), ("in_time", report.in_time)):
            rows = report.keys.take(changed)
            for slug in matrix.column_names:
                rows = rows.append_column(slug, matrix[slug].take(changed))
            parquet.write(rows, staged / f"{name}.parquet")


def _facts(report: LateReport) -> dict[str, Any]:
    return {
        "late": [asdict(table) for table in report.tables],
        "rows": report.rows,
        "changed": len(report.changed),
        "added": report.added,
        "gone": report.gone,
        "features": [asdict(item) for item in report.features],
        "most_changed": _most_changed(report),
    }


def _most_changed(report: LateReport) -> list[dict[str, Any]]:
    """Return the rows with the most changed features: key, cutoff, number of features."""
    keys = report.keys.take(pa.array(report.changed)).to_pylist()
    counts = report.changes[report.changed]
    order = np.argsort(-counts, kind="stable")[:_MAX_ROWS]
    return [{**keys[row], "cutoff": iso(keys[row]["cutoff"]), "features": int(counts[row])} for row in order]


def _spell(value: Any) -> str:
    return str(key_value(value) if isinstance(value, date) else value)


def _show(report: LateReport, name: str) -> None:
    console = Console()
    if not report.tables:
        console.print(f"{name}: nothing arrived late")
        return
    for table in report.tables:
        console.print(
            f"{table.table}: {table.new:,} rows arrived late and {table.corrected:,} were corrected late, "
            f"median delay {_length(table.middle_us)}, longest {_length(table.longest_us)}"
        )
    console.print(
        f"{len(report.changed):,} of {report.rows:,} training rows would have been different with timely data"
        + (f"; {report.added:,} more rows would have existed" if report.added else "")
        + (f"; {report.gone:,} would not have existed" if report.gone else "")
    )
    if not report.features:
        return
    table_of_features = Table(
        "feature", "rows", "share", "mean change", "in spreads", "largest", "appeared", "vanished"
    )
    for item in report.features:
        table_of_features.add_row(
            item.name, f"{item.rows:,}", f"{item.share:.2%}", _number(item.mean_change), _number(item.spreads),
            _number(item.largest_change), f"{item.appeared:,}", f"{item.vanished:,}",
        )  # fmt: skip
    console.print(table_of_features)
    for row in _most_changed(report)[:3]:
        key = ", ".join(f"{column}={_spell(value)}" for column, value in row.items() if column != "features")
        console.print(f"most: {key}: {row['features']} features")


def _length(length_us: int) -> str:
    """Format a duration in its largest unit: `3 hours`, not `11041 seconds`."""
    for unit in ("1d", "1h", "1min", "1s"):
        size = parse_duration(unit)
        if length_us >= 2 * size:
            return duration_words(length_us // size * size)
    return duration_words(length_us)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
