"""`headrace explain-feature`: a feature's value at one row, down to the raw rows that it was computed from."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from headrace.cli.paths import settings_of
from headrace.core.clock import floor_to_tick, iso, to_us
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.lake.predictions import Prediction, PredictionLog
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.schema import DUE, Problem
from headrace.store.published import read_published
from headrace.synthesis.definitions import Definition, row_columns
from headrace.synthesis.engine import Tables
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.enumerate import enumerate_definitions
from headrace.synthesis.matrix import feature_matrix
from headrace.synthesis.spine import build_spine
from headrace.synthesis.unfold import Node, UsedRow, unfold


class Asked(NamedTuple):
    """One row of the spine [1 row], with its cutoff and tick."""

    spine: pa.Table
    cutoff_us: int
    tick_us: int


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
    definition = _named(problem, feature, _candidates(root, problem, snapshot))
    if (row is None) == (at is None):
        raise DeclarationError(
            "name one row", where="explain-feature", fix="give --row KEY, or --at INSTANT with entity=value"
        )
    asked = _by_key(problem, snapshot, row) if row is not None else _at(problem, definition, str(at), given)
    value = feature_matrix(problem, [definition], asked.spine, snapshot, LocalEngine())[definition.slug][0].as_py()
    tree = unfold(problem, definition, asked.spine.to_pylist()[0], asked.tick_us, snapshot, most=most)
    logged = _logged(root, problem, definition, row)
    if as_json:
        found = {
            "feature": definition.name,
            "cutoff": iso(asked.cutoff_us),
            "tick": iso(asked.tick_us),
            "engine": value,
            "agrees": _same(value, tree.value),
            "logged": logged,
            "tree": asdict(tree),
        }
        print(json.dumps(found, indent=2, default=_spell))
        return
    _show(tree, asked, value, logged)


def _candidates(root: Path, problem: Problem, snapshot: Tables) -> dict[str, Definition]:
    """Every feature that was published or would be offered, by name."""
    schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
    found = {item.name: item for item in enumerate_definitions(problem, schemas, snapshot)}
    try:
        services = read_published(root, problem.name).services
    except NotFoundError:
        services = {}
    found.update({item.name: item for definitions in services.values() for item in definitions})
    return found


def _named(problem: Problem, feature: str, candidates: dict[str, Definition]) -> Definition:
    by_name = {**{item.slug: item for item in candidates.values()}, **candidates}
    if feature in by_name:
        return by_name[feature]
    near = difflib.get_close_matches(feature, by_name, n=8, cutoff=0.4)
    raise NotFoundError(
        f"no feature {feature!r}",
        where=problem.name,
        found=near or sorted(candidates),
        fix="name one of these, by its name or its column",
    )


def _by_key(problem: Problem, snapshot: Tables, key: str) -> Asked:
    spine = build_spine(problem, snapshot, now_us=2**61)
    names, parts = problem.spine_table.keys, key.split(",")
    if len(parts) != len(names):
        raise DeclarationError(
            f"{key!r} has {len(parts)} parts", where="--row", found=names, fix="separate the key's columns by commas"
        )
    found = spine
    for name, part in zip(names, parts, strict=True):
        kind = pa.timestamp("us", "UTC") if name == DUE else found.schema.field(name).type
        wanted = _parsed(part, kind, name)
        found = found.filter(pc.equal(found[name], wanted.cast(found.schema.field(name).type)))
    if found.num_rows == 0:
        few = spine.select(names).slice(0, 3).to_pylist()
        raise NotFoundError(
            f"no row {key!r}", where=f"{problem.name}.{problem.spine.table}",
            found=[",".join(_key_text(name, value) for name, value in item.items()) for item in few],
        )  # fmt: skip
    found = found.slice(0, 1)
    return Asked(found, found["cutoff"][0].as_py(), found["tick"][0].as_py())


def _key_text(name: str, value: Any) -> str:
    return iso(value) if name == DUE else _text(value)


def _parsed(text: str, kind: pa.DataType, name: str) -> pa.Scalar:
    try:
        if pa.types.is_timestamp(kind):
            return pa.scalar(to_us(text), pa.int64()).cast(kind)
        return pa.scalar(text).cast(kind)
    except (pa.ArrowInvalid, ValueError) as error:
        raise DeclarationError(f"{text!r} is no {kind}", where=name) from error


def _at(problem: Problem, definition: Definition, at: str, given: Sequence[str]) -> Asked:
    try:
        cutoff = to_us(at)
    except ValueError as error:
        raise DeclarationError(f"{at!r} is no instant", where="--at", fix="write it as 2013-05-01T12:00:00Z") from error
    pairs = dict(item.partition("=")[::2] for item in given)
    wanted = (*problem.join_keys, *(item.column for item in row_columns([definition])))
    odd = [name for name in pairs if name not in wanted]
    if odd:
        raise NotFoundError(f"{odd[0]!r} is not part of a row", where=definition.name, found=dict.fromkeys(wanted))
    tick = floor_to_tick(cutoff, problem.tick_us)
    columns = {name: pa.array([_guessed(pairs.get(name))]) for name in wanted}
    return Asked(pa.table({**columns, "cutoff": [cutoff], "tick": [tick]}), cutoff, tick)


def _guessed(text: str | None) -> Any:
    """A whole number, a number, or the text."""
    for kind in (int, float):
        try:
            return kind(text) if text is not None else None
        except ValueError:
            continue
    return text


def _logged(root: Path, problem: Problem, definition: Definition, row: str | None) -> list[dict[str, Any]]:
    """What the prediction log says went into models for this row."""
    log = PredictionLog(root, problem.name)
    if row is None or not log.path.exists():
        return []
    with log:
        mine = [item for item in log.read() if row == ",".join(str(part) for part in item.row_key)]
    return [_entry(item, definition) for item in mine if definition.slug in item.features]


def _entry(item: Prediction, definition: Definition) -> dict[str, Any]:
    return {"version": item.model_version, "made": iso(item.made_us), "value": item.features[definition.slug]}


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return bool(left == right)


def _spell(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _text(value: Any, kind: str = "") -> str:
    if value is None:
        return "missing"
    if kind == "time" and isinstance(value, int):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat().replace("+00:00", "Z")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _show(tree: Node, asked: Asked, value: Any, logged: Sequence[dict[str, Any]]) -> None:
    console = Console()
    console.print(f"cutoff {iso(asked.cutoff_us)}, tick {iso(asked.tick_us)}")
    branch = Tree(_heading(tree), highlight=False)
    _grow(branch, tree)
    console.print(branch)
    agrees = "the engine agrees" if _same(value, tree.value) else f"THE ENGINE SAYS {_text(value, tree.kind)}"
    console.print(f"value {_text(tree.value, tree.kind)}; {agrees}")
    for item in logged:
        console.print(f"logged {_text(item['value'])} by version {item['version']} at {item['made']}")


def _heading(node: Node) -> str:
    rows = f" [dim]({node.counted} rows counted, {node.left_out} did not)[/]" if node.counted + node.left_out else ""
    return f"[bold]{escape(node.name)}[/] = {escape(_text(node.value, node.kind))}{rows}\n[dim]{escape(node.words)}[/]"


def _grow(branch: Tree, node: Node) -> None:
    for child in node.children:
        _grow(branch.add(_heading(child)), child)
    for row in node.rows:
        below = branch.add(_row(row, node.reads))
        for child in row.children:
            _grow(below.add(_heading(child)), child)


def _row(row: UsedRow, reads: Sequence[str]) -> str:
    said = ", ".join(f"{name}={_text(row.row[name])}" for name in reads)
    since = iso(row.at_us) if abs(row.at_us) < 2**57 else ("ever" if row.at_us < 0 else "an instant that nothing tells")
    verdict = f"[yellow]not counted: {escape(row.why)}[/]" if row.why else f"[green]{escape(_text(row.value))}[/]"
    return f"{verdict} since {since} [dim]{escape(said)}[/]"
