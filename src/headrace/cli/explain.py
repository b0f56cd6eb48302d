"""`headrace explain-feature`: a feature's value at one row, down to the raw rows that it was computed from."""

from __future__ import annotations

import csv
import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from headrace.app.context import settings_of
from headrace.cli.tree import json_text, tree_of
from headrace.cli.tree import value_text as shown
from headrace.core.clock import floor_to_tick, iso, to_us
from headrace.core.errors import DataError, DeclarationError, NotFoundError
from headrace.lake.keys import Key, KeyValue, read_logged_key, read_value, row_keys, value_text
from headrace.lake.store import Lake
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.problems.catalogue import load_problem
from headrace.schema import DUE, Problem
from headrace.store.published import read_published
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import engine_of
from headrace.synthesis.explanation.unfold import Node, unfold
from headrace.synthesis.language.definitions import Definition, row_columns
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine, spine_key_types


class ExplainedRow(NamedTuple):
    """One row of the spine with its cutoff and tick, and its key where it was selected by key."""

    spine: pa.Table
    cutoff_us: int
    tick_us: int
    key: Key | None = None


def explain_feature(
    reference: str,
    feature: str,
    given: Sequence[str],
    home: Path | None,
    *,
    row: str | None,
    at: str | None,
    most: int,
    as_json: bool,
) -> None:
    """Print the tree, or its JSON."""
    root, problem = settings_of(home).root, load_problem(reference)
    snapshot = Lake(root, problem.name).snapshot()
    definition = _find_definition(problem, feature, _candidates(root, problem, snapshot))
    if (row is None) == (at is None):
        raise DeclarationError(
            "name one row", where="explain-feature", fix="give --row KEY, or --at INSTANT with entity=value"
        )
    explained = (
        _row_by_key(problem, snapshot, row)
        if row is not None
        else _row_at(problem, definition, snapshot, str(at), given)
    )
    value = feature_matrix(problem, [definition], explained.spine, snapshot, engine_of(problem))[definition.slug][
        0
    ].as_py()
    tree = unfold(problem, definition, explained.spine.to_pylist()[0], explained.tick_us, snapshot, most=most)
    logged = _logged(root, problem, snapshot, definition, explained.key)
    if as_json:
        facts = {
            "feature": definition.name,
            "cutoff": iso(explained.cutoff_us),
            "tick": iso(explained.tick_us),
            "engine": value,
            "agrees": _same(value, tree.value),
            "logged": logged,
            "tree": asdict(tree),
        }
        print(json.dumps(facts, indent=2, default=json_text))
        return
    _show(tree, explained, value, logged)


def _candidates(root: Path, problem: Problem, snapshot: Tables) -> dict[str, Definition]:
    """Return all published and candidate features by name."""
    schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
    definitions = {item.name: item for item in enumerate_definitions(problem, schemas, snapshot)}
    try:
        services = read_published(root, problem.name).services
    except NotFoundError:
        services = {}
    definitions.update({item.name: item for definitions in services.values() for item in definitions})
    return definitions


def _find_definition(problem: Problem, feature: str, candidates: dict[str, Definition]) -> Definition:
    definitions = {**{item.slug: item for item in candidates.values()}, **candidates}
    if feature in definitions:
        return definitions[feature]
    close_matches = difflib.get_close_matches(feature, definitions, n=8, cutoff=0.4)
    raise NotFoundError(
        f"no feature {feature!r}",
        where=problem.name,
        found=close_matches or sorted(candidates),
        fix="name one of these, by its name or its column",
    )


def _row_by_key(problem: Problem, snapshot: Tables, text: str) -> ExplainedRow:
    spine = build_spine(problem, snapshot, now_us=2**61, engine=engine_of(problem))
    names = problem.spine_table.keys
    single_text = len(names) == 1 and pa.types.is_string(spine.schema.field(names[0]).type)
    parts = [text] if single_text else next(csv.reader([text], skipinitialspace=True), [])
    if len(parts) != len(names):
        raise DeclarationError(
            f"{text!r} has {len(parts)} parts", where="--row", found=names, fix="separate the key's columns by commas"
        )
    key = tuple(_parsed(part, spine, name) for name, part in zip(names, parts, strict=True))
    rows = spine
    for name, value in zip(names, key, strict=True):
        rows = rows.filter(pc.equal(rows[name], _scalar(value, rows.schema.field(name).type)))
    if rows.num_rows == 0:
        raise NotFoundError(
            f"no row {text!r}",
            where=f"{problem.name}.{problem.spine.table}",
            found=[_spelled(names, key_of_row) for key_of_row in row_keys(spine.slice(0, 3), names)],
        )
    rows = rows.slice(0, 1)
    return ExplainedRow(rows, rows["cutoff"][0].as_py(), rows["tick"][0].as_py(), key)


def _spelled(names: Sequence[str], key: Key) -> str:
    """Format a key as `--row` takes it."""
    return ",".join(iso(int(str(part))) if name == DUE else str(part) for name, part in zip(names, key, strict=True))


def _parsed(text: str, rows: pa.Table, name: str) -> KeyValue:
    """Parse a part of a key by its column's type; of a schedule the instant, which the spine has as microseconds."""
    kind = rows.schema.field(name).type
    try:
        if name == DUE and pa.types.is_integer(kind):
            return to_us(str(read_value(text, pa.timestamp("us", "UTC"))))
        return read_value(text, kind)
    except DataError as error:
        raise DeclarationError(f"{text!r} is no {kind}: it {error.what}", where=name) from error


def _scalar(value: KeyValue, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(value_text(value), pa.string()).cast(kind)


def _row_at(problem: Problem, definition: Definition, snapshot: Tables, at: str, given: Sequence[str]) -> ExplainedRow:
    try:
        cutoff = to_us(at)
    except ValueError as error:
        raise DeclarationError(f"{at!r} is no instant", where="--at", fix="write it as 2013-05-01T12:00:00Z") from error
    pairs = dict(item.partition("=")[::2] for item in given)
    columns_of_row = (*problem.join_keys, *(item.column for item in row_columns([definition])))
    unknown = [name for name in pairs if name not in columns_of_row]
    if unknown:
        raise NotFoundError(
            f"{unknown[0]!r} is not part of a row", where=definition.name, found=dict.fromkeys(columns_of_row)
        )
    tick, rows = floor_to_tick(cutoff, problem.tick_us), snapshot.table(problem.carrier)
    columns = {name: _column(pairs.get(name), rows, name) for name in columns_of_row}
    return ExplainedRow(pa.table({**columns, "cutoff": [cutoff], "tick": [tick]}), cutoff, tick)


def _column(text: str | None, rows: pa.Table, name: str) -> pa.Array:
    kind = rows.schema.field(name).type
    return pa.array([None if text is None else value_text(_parsed(text, rows, name))], pa.string()).cast(kind)


def _logged(
    root: Path, problem: Problem, snapshot: Tables, definition: Definition, key: Key | None
) -> list[dict[str, Any]]:
    """Return the feature's values in the prediction log for this row."""
    log = PredictionLog(root, problem.name)
    if key is None or not log.exists():
        return []
    types = spine_key_types(problem, snapshot)
    with log:
        mine = [item for item in log.read() if read_logged_key(item.row_key, types) == key]
    return [_entry(item, definition) for item in mine if definition.slug in item.features]


def _entry(item: Prediction, definition: Definition) -> dict[str, Any]:
    return {"version": item.model_version, "made": iso(item.made_us), "value": item.features[definition.slug]}


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return bool(left == right)


def _show(tree: Node, explained: ExplainedRow, value: Any, logged: Sequence[dict[str, Any]]) -> None:
    console = Console()
    console.print(f"cutoff {iso(explained.cutoff_us)}, tick {iso(explained.tick_us)}")
    console.print(tree_of(tree))
    agreement = "the engine agrees" if _same(value, tree.value) else f"THE ENGINE SAYS {shown(value, tree.kind)}"
    console.print(f"value {shown(tree.value, tree.kind)}; {agreement}")
    for item in logged:
        console.print(f"logged {shown(item['value'])} by version {item['version']} at {item['made']}")
