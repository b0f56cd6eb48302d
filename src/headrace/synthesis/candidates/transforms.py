"""Candidate transforms of row columns, direct features and aggregates.

Differences are candidates where they mean something: of a value over its shortest and its longest lookback (is it
rising?), of the same column of two entities' parent rows, and of the few numbers or instants that a row itself gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from headrace.schema import Problem
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, RowColumn, Transform

#: Differences of a row's numbers are candidates where there are at most so many.
_MOST_PAIRED = 5
_CALENDAR = ("minute_of_day", "hour", "day", "weekday", "is_weekend", "month", "year")
_LATITUDES, _LONGITUDES = ("lat", "latitude"), ("lon", "lng", "long", "longitude")


def row_transforms(rows: Sequence[RowColumn]) -> Iterator[Transform]:
    """Calendar fields of instants, log and root of numbers, differences within the row."""
    times = [item for item in rows if item.kind == "time"]
    numbers = [item for item in rows if item.kind == "numeric"]
    for item in times:
        for primitive in _CALENDAR:
            kind = "boolean" if primitive == "is_weekend" else "numeric"
            yield Transform(primitive=primitive, inputs=(item,), kind="boolean" if kind == "boolean" else "numeric")
    yield from _curves(numbers)
    for group in (times, numbers):
        if len(group) <= _MOST_PAIRED:
            yield from (_difference(right, left) for left, right in combinations(group, 2))


def stored_transforms(
    problem: Problem, direct: Sequence[Direct], aggregates: Sequence[Aggregate]
) -> Iterator[Transform]:
    """Times since anchors, trends, distances and differences between two entities' parents, log and root."""
    anchors: list[Definition] = [*direct, *aggregates]
    for anchor in anchors:
        if anchor.kind == "time":
            yield Transform(primitive="time_since", inputs=(anchor,), kind="numeric")
    yield from _trends(aggregates)
    yield from _between_entities(problem, direct)
    yield from _curves([item for item in direct if item.kind == "numeric"])


def _curves(numbers: Iterable[Definition]) -> Iterator[Transform]:
    for item in numbers:
        for primitive in ("log", "square_root"):
            yield Transform(primitive=primitive, inputs=(item,), kind="numeric")


def _trends(aggregates: Sequence[Aggregate]) -> Iterator[Transform]:
    spans: dict[tuple[object, ...], list[Aggregate]] = {}
    for item in aggregates:
        if item.primitive in ("mean", "percent_true") and item.lookback_us is not None:
            spans.setdefault((item.entity, item.table, item.keys, item.column, item.primitive), []).append(item)
    for items in spans.values():
        shortest, longest = (pick(items, key=lambda item: item.lookback_us or 0) for pick in (min, max))
        if shortest != longest:
            yield _difference(shortest, longest)


def _between_entities(problem: Problem, direct: Sequence[Direct]) -> Iterator[Transform]:
    parents = [(entity.name, entity.parent[0]) for entity in problem.all_entities if entity.parent is not None]
    for (left, table), (right, other) in combinations(parents, 2):
        if table != other:
            continue
        left_columns = {item.column: item for item in direct if item.entity == left and item.kind == "numeric"}
        right_columns = {item.column: item for item in direct if item.entity == right and item.kind == "numeric"}
        both = places(tuple(left_columns.values()), tuple(right_columns.values()))
        if both:
            yield Transform(primitive="haversine", inputs=both, kind="numeric")
        yield from (_difference(left_columns[column], right_columns[column]) for column in left_columns)


def places(here: Sequence[Direct], there: Sequence[Direct]) -> tuple[Direct, ...]:
    """Latitude and longitude of two parents' rows; empty where one of them has no place."""
    both = [_place({item.column: item for item in side}) for side in (here, there)]
    return (*both[0], *both[1]) if all(both) else ()


def _place(columns: dict[str, Direct]) -> tuple[Direct, ...]:
    latitude = next((columns[name] for name in _LATITUDES if name in columns), None)
    longitude = next((columns[name] for name in _LONGITUDES if name in columns), None)
    return () if latitude is None or longitude is None else (latitude, longitude)


def _difference(left: Definition, right: Definition) -> Transform:
    return Transform(primitive="difference", inputs=(left, right), kind="numeric")
