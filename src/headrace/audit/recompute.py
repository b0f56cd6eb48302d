"""Recompute the features of logged predictions from the lake's raw rows, at the ticks that the log names.

A prediction's stored features are computed again by the engine, at the tick of each feature view that the log names:
a value that was served from an older refresh is compared with the value of that refresh. Columns of the predicted row
come from the logged request, or for scored rows from the spine. Transforms are finished as in serving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import floor_to_tick
from headrace.core.errors import DataError
from headrace.lake.keys import KeyValue, read_logged_key, row_keys, value_text
from headrace.lake.store import Snapshot
from headrace.prediction_log.log import Prediction
from headrace.schema import Problem
from headrace.serving.request import RequestSchema, check_row, row_columns_as_arrays
from headrace.store.history import compute_at, key_type
from headrace.store.published import KEY_TYPES, KeyType, view_name
from headrace.synthesis.engines import engine_of
from headrace.synthesis.language.definitions import Definition, Stored, row_columns, stored
from headrace.synthesis.primitives.finish import finish
from headrace.synthesis.spine.build import build_spine, spine_key_types


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """Logged predictions whose features were recomputed, and the reasons for those that could not be.

    Attributes:
        predictions: The recomputed predictions [n].
        own: The columns of the predicted rows, as the features read them [n].
        features: One column per definition, named by slug [n]; string or float64, null = missing.
        unchecked: Prediction id -> why its features cannot be recomputed.
    """

    predictions: tuple[Prediction, ...]
    own: pa.Table
    features: pa.Table
    unchecked: Mapping[str, str]


def key_types_of(problem: Problem, snapshot: Snapshot) -> dict[str, KeyType]:
    """Return join key -> type in the lake."""
    schema = snapshot.schema(problem.carrier)
    return {name: key_type(problem, schema, name) for name in problem.join_keys}


def view_ticks(problem: Problem, prediction: Prediction, definitions: Sequence[Stored]) -> dict[str, int | None]:
    """Return entity -> tick (us) at which its features were served; None where the log names no tick.

    The API logs ticks by feature view, the scoring of due rows by entity.
    """
    entities = dict.fromkeys(item.entity for item in definitions)
    ticks = prediction.ticks
    return {name: ticks.get(view_name(problem.name, name), ticks.get(name)) for name in entities}


def recompute(
    problem: Problem, definitions: Sequence[Definition], predictions: Sequence[Prediction], snapshot: Snapshot
) -> Recomputed:
    """Recompute the features of predictions of one model version, all from one source (API or scoring).

    Args:
        problem: The problem.
        definitions: The features of the version.
        predictions: Logged predictions of the version.
        snapshot: The lake's present tables. A row that arrived after a tick changes no feature of that tick.

    Returns:
        The recomputed features, one row per prediction that can be checked.
    """
    unchecked: dict[str, str] = {}
    checkable = [item for item in predictions if not _note(unchecked, item.id, _incomplete(problem, item, definitions))]
    own, found = _own_columns(problem, definitions, checkable, snapshot)
    for item, is_found in zip(checkable, found, strict=True):
        if not is_found:
            unchecked[item.id] = "its row is not in the history"
    checkable = [item for item, is_found in zip(checkable, found, strict=True) if is_found]
    values = _stored_values(problem, stored(definitions), checkable, snapshot)
    ticks = np.array([floor_to_tick(item.cutoff_us, problem.tick_us) for item in checkable], dtype=np.int64)
    cutoffs = np.array([item.cutoff_us for item in checkable], dtype=np.int64)
    columns = {name: own[name] for name in own.column_names}
    features = finish(definitions, values, columns, ticks, cutoffs)
    finite = [_finite(features[name]) for name in features.column_names]
    return Recomputed(
        predictions=tuple(checkable),
        own=own,
        features=pa.table(finite, names=features.column_names),
        unchecked=unchecked,
    )


def _note(unchecked: dict[str, str], prediction: str, reason: str) -> bool:
    if reason:
        unchecked[prediction] = reason
    return bool(reason)


def _incomplete(problem: Problem, prediction: Prediction, definitions: Sequence[Definition]) -> str:
    """Return what a log row lacks for a check; empty where it has everything."""
    if not prediction.features:
        return "the log has no features for it (an older format)"
    if lacking := [item.slug for item in definitions if item.slug not in prediction.features]:
        return f"the log lacks the feature {lacking[0]!r} of its version"
    if lacking := [name for name in problem.join_keys if name not in prediction.join_keys]:
        return f"the log lacks the join key {lacking[0]!r}"
    ticks = view_ticks(problem, prediction, stored(definitions))
    untimed = [name for name, tick in ticks.items() if tick is None]
    return f"the features of {untimed[0]!r} had not been materialised" if untimed else ""


def _stored_values(
    problem: Problem, definitions: Sequence[Stored], predictions: Sequence[Prediction], snapshot: Snapshot
) -> dict[str, pa.ChunkedArray]:
    """Return slug -> values [n] at the logged tick of each feature view."""
    types = key_types_of(problem, snapshot)
    ticks = [view_ticks(problem, item, definitions) for item in predictions]
    values: dict[str, pa.ChunkedArray] = {}
    for entity in dict.fromkeys(item.entity for item in definitions):
        join_keys = problem.entity(entity).join_keys
        keys = {
            name: _key_array([item.join_keys[name] for item in predictions], types[name], name) for name in join_keys
        }
        at = pa.array([ticks_of_row[entity] for ticks_of_row in ticks], pa.int64())
        chosen = [item for item in definitions if item.entity == entity]
        table = compute_at(problem, chosen, join_keys, pa.table({**keys, "tick": at}), snapshot)
        values.update((name, table[name]) for name in table.column_names)
    return values


def _key_array(values: Sequence[KeyValue], kind: KeyType, name: str) -> pa.Array:
    """Return logged join keys as the store represents them."""
    texts = values if kind == "int64" else [value_text(value) for value in values]
    try:
        return pa.array(texts, KEY_TYPES[kind])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"a logged join key is no {kind}: {error}", where=f"prediction log, {name}") from None


def _own_columns(
    problem: Problem, definitions: Sequence[Definition], predictions: Sequence[Prediction], snapshot: Snapshot
) -> tuple[pa.Table, list[bool]]:
    """Return the columns of the predicted rows that features read, and whether each row was found."""
    names = [item.column for item in row_columns(definitions)]
    if not names or not predictions:
        return pa.table({name: pa.array([], pa.float64()) for name in names}), [True] * len(predictions)
    if predictions[0].source == "score":
        return _spine_columns(problem, names, predictions, snapshot)
    schema = RequestSchema.from_definitions(problem, definitions, key_types_of(problem, snapshot))
    rows = [check_row(schema, {**item.join_keys, **item.request}, f"prediction {item.id}") for item in predictions]
    return pa.table(row_columns_as_arrays(schema, rows)), [True] * len(predictions)


def _spine_columns(
    problem: Problem, names: Sequence[str], predictions: Sequence[Prediction], snapshot: Snapshot
) -> tuple[pa.Table, list[bool]]:
    """Return the spine's columns of scored rows, matched by key."""
    cutoffs = [item.cutoff_us for item in predictions]
    spine = build_spine(
        problem,
        snapshot,
        start_us=min(cutoffs),
        end_us=max(cutoffs) + 1,
        now_us=max(item.made_us for item in predictions),
        engine=engine_of(problem),
    )
    position = {key: at for at, key in enumerate(row_keys(spine, problem.spine_table.keys))}
    types = spine_key_types(problem, snapshot)
    at = [position.get(read_logged_key(item.row_key, types)) for item in predictions]
    rows = pa.array([place for place in at if place is not None], pa.int64())
    return spine.select(list(dict.fromkeys(names))).take(rows), [place is not None for place in at]


def _finite(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as the log holds it: a number that is not finite is missing."""
    if not pa.types.is_floating(column.type):
        return column
    return pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
