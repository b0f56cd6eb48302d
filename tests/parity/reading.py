"""A world as Headrace sees it, and its golden values beside ours."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.core.clock import BEFORE_ALL, parse_duration, to_us
from headrace.core.errors import DeclarationError
from headrace.schema import EntitySet, Problem, Relationship, Table, each_row
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.featuretools import Feature, featuretools_matrix, parse
from headrace.synthesis.language.columns import column_kinds
from headrace.synthesis.language.engine import Engine
from tests.parity.worlds import WORLDS

FOLDER = Path(__file__).parent / "goldens"
TIME = pa.timestamp("us", tz="UTC")
ASKED = "asked"
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")


def _roles(world: str, name: str, schema: pa.Schema) -> dict[str, str]:
    spec = WORLDS[world].tables[name]
    roles = dict.fromkeys(spec.text, "text") | dict.fromkeys(spec.category, "categorical")
    roles |= dict.fromkeys(spec.boolean, "boolean")
    joins = {column for _, child, column in WORLDS[world].relationships if child == name}
    return roles | dict.fromkeys(joins & set(schema.names), "id")


class Snapshot:
    """The world's tables as a lake would give them: no corrections, all of it a bootstrap load."""

    def __init__(self, world: str, target: str) -> None:
        self.tables = {name: pq.read_table(FOLDER / world / f"{name}.parquet") for name in WORLDS[world].tables}
        key = self.tables[target].schema.field(WORLDS[world].tables[target].key)
        self.tables[ASKED] = pa.schema(
            [("asked_id", pa.int64()), (key.name, key.type), ("cutoff", TIME), ("label", pa.float64())]
        ).empty_table()

    def table(self, name: str) -> pa.Table:
        rows = self.tables[name]
        rows = rows.append_column("_arrival", pa.array(np.full(rows.num_rows, BEFORE_ALL)))
        return rows.append_column("_order", pa.array(np.arange(rows.num_rows)))


@lru_cache
def world_problem(world: str, target: str) -> tuple[Problem, Snapshot]:
    """The problem whose entity is the target's key, and its tables."""
    spec, snapshot = WORLDS[world], Snapshot(world, target)
    key = spec.tables[target].key
    tables = [
        Table(
            name=name, key=one.key, time=one.time, source="-", roles=_roles(world, name, snapshot.tables[name].schema)
        )
        for name, one in spec.tables.items()
    ]
    tables.append(Table(name=ASKED, key="asked_id", time="cutoff", source="-", roles={key: "id"}))
    joins = [(parent, child, column) for parent, child, column in spec.relationships] + [(target, ASKED, key)]
    problem = Problem(
        name=world,
        entity_set=EntitySet(
            tables=tuple(tables),
            relationships=tuple(Relationship(f"{up}.{spec.tables[up].key}", f"{down}.{by}") for up, down, by in joins),
        ),
        spine=each_row(ASKED, cutoff="cutoff"),
        label="label",
        metric="rmse",
    )
    return problem, snapshot


def golden(world: str, run: str) -> dict[str, list[float | str | None]]:
    """featuretools' values by feature, in the order of the spine."""
    table = pq.read_table(FOLDER / world / f"golden_{run}.parquet")
    found: dict[str, list[float | str | None]] = {}
    for name, number, text in zip(*(table[column].to_pylist() for column in table.column_names), strict=True):
        found.setdefault(name, []).append(text if number is None else number)
    return {name: [_instant(value) for value in values] for name, values in found.items()}


def _instant(value: float | str | None) -> float | str | None:
    """A text that is an instant is one, in microseconds."""
    if isinstance(value, str) and _STAMP.match(value):
        return to_us(value.replace(" ", "T") + "+00:00")
    return value


def features(world: str, run: str) -> tuple[list[Feature], list[str]]:
    """The golden features that Headrace has, and the names of those that it has not."""
    spec = WORLDS[world].runs[run]
    problem, snapshot = world_problem(world, spec.target)
    kinds = column_kinds(problem, {name: table.schema for name, table in snapshot.tables.items()})
    known, unknown = [], []
    for name in golden(world, run):
        try:
            known.append(parse(problem, kinds, WORLDS[world].tables[spec.target].key, name, window_us(world, run)))
        except DeclarationError:
            unknown.append(name)
    return known, unknown


def ours(world: str, run: str, engine: Engine | None = None, wanted: list[Feature] | None = None) -> pa.Table:
    spec = WORLDS[world].runs[run]
    problem, snapshot = world_problem(world, spec.target)
    spine = pq.read_table(FOLDER / world / f"spine_{spec.target}.parquet")
    keys = pa.table({WORLDS[world].tables[spec.target].key: spine["key"], "tick": spine["cutoff"]})
    chosen = features(world, run)[0] if wanted is None else wanted
    return featuretools_matrix(
        problem, chosen, keys, snapshot, engine or LocalEngine(), include_cutoff_time=spec.include_cutoff
    )


def difference(mine: pa.ChunkedArray, theirs: list[float | str | None], rows: npt.NDArray[np.bool_]) -> str | None:
    """The first value that differs among some rows, or None."""
    for row, (one, other, wanted) in enumerate(zip(mine.to_pylist(), theirs, rows, strict=True)):
        if not wanted:
            continue
        if isinstance(one, str) or isinstance(other, str):
            # featuretools reads a category of digits as a number
            if (str(float(one)) if isinstance(one, str) and isinstance(other, float) else str(one)) != str(other):
                return f"row {row}: ours {one}, theirs {other}"
        elif (one is None) != (other is None) or (
            one is not None and other is not None and not np.isclose(one, other, rtol=1e-9, atol=1e-9)
        ):
            return f"row {row}: ours {one}, theirs {other}"
    return None


def visible(world: str, run: str) -> npt.NDArray[np.bool_]:
    """Spine rows [n] whose own target row featuretools sees: its cutoff and window apply to it too."""
    spec = WORLDS[world].runs[run]
    _, snapshot = world_problem(world, spec.target)
    table = WORLDS[world].tables[spec.target]
    spine = pq.read_table(FOLDER / world / f"spine_{spec.target}.parquet")
    cutoff = spine["cutoff"].to_numpy()
    if table.time is None:
        return np.ones(len(cutoff), dtype=np.bool_)
    rows = snapshot.tables[spec.target]
    born = dict(zip(rows[table.key].to_pylist(), rows[table.time].cast(pa.int64()).to_pylist(), strict=True))
    at = np.array([born[key] for key in spine["key"].to_pylist()])
    until = cutoff + (1 if spec.include_cutoff else 0)
    return np.asarray((at < until) & (at >= until - (window_us(world, run) or 2**60)))


def window_us(world: str, run: str) -> int | None:
    window = WORLDS[world].runs[run].window
    if window is None:
        return None
    count, unit = window.split()
    return parse_duration(count + {"minutes": "min", "hours": "h", "days": "d"}[unit])


def compare(world: str, run: str, engine: Engine | None = None) -> dict[str, str | None]:
    """Feature -> how it differs (None: equal); those that cannot be computed say why after a question mark."""
    theirs, rows = golden(world, run), visible(world, run)
    report: dict[str, str | None] = {}
    for feature in features(world, run)[0]:
        try:
            table = ours(world, run, engine, [feature])
        except Exception as error:
            report[feature.name] = f"? {type(error).__name__}: {error}"
            continue
        report[feature.name] = difference(table[feature.name], theirs[feature.name], rows)
    report |= dict.fromkeys(features(world, run)[1], "? not in our catalogue")
    return report
