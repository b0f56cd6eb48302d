"""The conformance suite of aggregations: every one in the catalogue inherits all of it.

A family is called on entries and windows by itself, without tables or clocks, and held against its plain twin.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from headrace.core.clock import DAY, HOUR, NEVER
from headrace.synthesis.language.definitions import Aggregate, from_json, to_json
from headrace.synthesis.language.values import Ints
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS, Aggregation
from headrace.synthesis.primitives.catalogue import aggregate
from headrace.synthesis.primitives.entries import Entries

EVERY = pytest.mark.parametrize("primitive", AGGREGATIONS.values(), ids=list(AGGREGATIONS))
CASES = [(p, kind) for p in AGGREGATIONS.values() for kind in (*p.inputs, *(("rows",) if p.rows else ()))]
EVERY_CASE = pytest.mark.parametrize(("primitive", "kind"), CASES, ids=[f"{p.name}-{kind}" for p, kind in CASES])
START = 1_600_000_000_000_000
CATEGORIES = 5


@dataclass(frozen=True)
class Case:
    """Entries and windows over them, both as the local engine would give them."""

    entries: Entries
    lo: Ints
    hi: Ints

    def observations(self, query: int) -> list[tuple[int, Any]]:
        """What the twin is observations of a query."""
        entries = self.entries
        return [(int(entries.anchor[i]), _plain(entries, i)) for i in range(self.lo[query], self.hi[query])]


def _plain(entries: Entries, i: int) -> Any:
    if entries.code is not None:
        return int(entries.code[i]) if entries.code[i] >= 0 else None
    if entries.instant is not None:
        return int(entries.instant[i]) if entries.instant[i] != NEVER else None
    if entries.number is not None:
        return float(entries.number[i]) if not math.isnan(entries.number[i]) else None
    return True


def values(kind: str, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """A column of a kind, a fifth of it null; numbers in one of several magnitudes."""
    null = rng.random(n) < 0.2
    if kind == "categorical":
        codes = np.minimum(rng.geometric(0.4, n) - 1, CATEGORIES - 1)
        return {"code": np.where(null, -1, codes), "categories": CATEGORIES}
    if kind == "boolean":
        return {"number": np.where(null, np.nan, rng.random(n) < 0.6)}
    if kind == "time":
        return {"instant": np.where(null, NEVER, START + rng.integers(0, 9, n) * HOUR)}
    if kind == "rows":
        return {}
    numbers = (
        rng.integers(-2, 3, n).astype(float),
        rng.normal(size=n),
        1e8 + rng.normal(size=n),
        rng.normal(size=n) * 10.0 ** rng.integers(-8, 9, n),
    )[int(rng.integers(4))]
    return {"number": np.where(null, np.nan, numbers)}


def random_case(kind: str, seed: int, keys: int = 4, most: int = 25) -> Case:
    """Keys with 0 to `most` entries on a grid of half days with ties; windows that never fall back within a key."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, most, keys)
    key = np.repeat(np.arange(keys), sizes)
    anchor = np.concatenate([START + np.sort(rng.integers(0, 2 * most, size)) * (DAY // 2) for size in sizes])
    lo, hi = [], []
    for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        for low, high in _windows(size, rng):
            lo.append(start + low)
            hi.append(start + high)
    entries = Entries(key=key, anchor=anchor.astype(np.int64), **values(kind, len(key), rng))
    return Case(entries, np.array(lo, dtype=np.int64), np.array(hi, dtype=np.int64))


def _windows(size: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Expanding, or sliding: pairs of positions neither of which falls."""
    high = np.sort(rng.integers(0, size + 1, 8))
    if rng.random() < 0.4:
        yield from ((0, int(h)) for h in high)
    else:
        low = np.minimum(np.sort(rng.integers(0, size + 1, 8)), high)
        yield from zip(np.maximum.accumulate(low).tolist(), high.tolist(), strict=True)


def said(primitive: Aggregation, case: Case) -> list[Any]:
    """The family's answers as the twin writes them."""
    found = aggregate(case.entries, case.lo, case.hi, [primitive.name])[primitive.name]
    kind = primitive.result
    if kind == "time" or (kind is None and case.entries.instant is not None):
        return [None if value == NEVER else int(value) for value in found]
    if kind == "categorical" or (kind is None and case.entries.code is not None):
        rows = found.reshape(len(found), -1).tolist()
        parts = [[None if code < 0 else code for code in row] for row in rows]
        return parts if primitive.outputs > 1 else [row[0] for row in parts]
    return [None if math.isnan(value) else float(value) for value in found]


def assert_same(ours: Any, true: Any, scale: float) -> None:
    if isinstance(true, float) and isinstance(ours, float):
        assert ours == pytest.approx(true, rel=1e-9, abs=1e-9 + 1e-13 * scale)
    else:
        assert ours == true


def _scale(observations: list[tuple[int, Any]]) -> float:
    return max((abs(value) for _, value in observations if isinstance(value, float)), default=0.0)


@EVERY_CASE
def test_a_family_agrees_with_its_twin(primitive: Aggregation, kind: str) -> None:
    for seed in range(12):
        case = random_case(kind, seed)
        for query, ours in enumerate(said(primitive, case)):
            observations = case.observations(query)
            assert_same(ours, AGGREGATION_TWINS[primitive.name](observations), _scale(observations))


@EVERY_CASE
def test_a_query_is_answered_by_its_own_entries_alone(primitive: Aggregation, kind: str) -> None:
    """Alone, or among others; with later entries, or without: the same bits."""
    for seed in (1, 2, 3):
        case = random_case(kind, seed)
        together = aggregate(case.entries, case.lo, case.hi, [primitive.name])[primitive.name]
        for query in range(len(case.lo)):
            key = case.entries.key[case.lo[query]] if case.lo[query] < len(case.entries.key) else -1
            until = max(case.hi[query], int(np.searchsorted(case.entries.key, key)))
            early = case.entries.take(np.arange(until), case.entries.key[:until])
            alone = aggregate(early, case.lo[[query]], case.hi[[query]], [primitive.name])[primitive.name]
            assert np.array_equal(alone[0], together[query], equal_nan=True)


@EVERY_CASE
def test_other_primitives_beside_it_change_no_bit(primitive: Aggregation, kind: str) -> None:
    case = random_case(kind, 5)
    beside = [p.name for p in AGGREGATIONS.values() if kind in p.inputs or (kind == "rows" and p.rows)]
    alone = aggregate(case.entries, case.lo, case.hi, [primitive.name])[primitive.name]
    among = aggregate(case.entries, case.lo, case.hi, beside)[primitive.name]
    assert np.array_equal(alone, among, equal_nan=True)


@EVERY_CASE
def test_of_nothing_it_is_what_the_catalogue_says(primitive: Aggregation, kind: str) -> None:
    """No entries at all; entries before and after the window; nulls only."""
    some = Entries(key=np.zeros(4, dtype=np.int64), anchor=START + np.arange(4), **values(kind, 4, _rng()))
    none = some.take(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    null = Entries(key=some.key, anchor=some.anchor, **_nulls(kind, 4))
    cases = [Case(none, _ints(0), _ints(0)), Case(some, _ints(2), _ints(2))]
    cases += [Case(null, _ints(0), _ints(4))] if kind != "rows" else []
    for case in cases:
        [ours] = said(primitive, case)
        observations = case.observations(0)
        assert ours == AGGREGATION_TWINS[primitive.name](observations)
        if not observations:
            assert ours == ([None] * primitive.outputs if primitive.outputs > 1 else primitive.empty)


@EVERY_CASE
def test_one_row_and_ties(primitive: Aggregation, kind: str) -> None:
    for n in (1, 2, 3):
        entries = Entries(key=np.zeros(n, dtype=np.int64), anchor=np.full(n, START), **_same(kind, n))
        case = Case(entries, _ints(0), _ints(n))
        [ours] = said(primitive, case)
        assert_same(ours, AGGREGATION_TWINS[primitive.name](case.observations(0)), 1.0)


@EVERY
def test_the_catalogue_is_whole(primitive: Aggregation) -> None:
    assert primitive.name in AGGREGATION_TWINS
    assert primitive.description
    assert primitive.cost > 0
    assert primitive.inputs
    assert primitive.finish is None or primitive.finish in TRANSFORMS
    assert primitive.result in (None, "numeric", "categorical", "boolean", "time")


@EVERY
def test_a_definition_survives_json(primitive: Aggregation) -> None:
    for part in [None] if primitive.outputs == 1 else range(primitive.outputs):
        definition = Aggregate(
            entity="a",
            table="t",
            keys=("k",),
            column="" if primitive.rows else "x",
            primitive=primitive.name,
            lookback_us=DAY,
            kind=primitive.result or "numeric",
            part=part,
        )
        assert from_json(json.loads(json.dumps(to_json(definition)))) == definition


def test_nothing_is_computed_that_no_one_declared() -> None:
    assert set(AGGREGATION_TWINS) == set(AGGREGATIONS)
    assert len(AGGREGATIONS) >= 40


@pytest.mark.parametrize("power", [8, 12, 60, 99])
def test_a_window_after_numbers_of_another_size_loses_no_digits(power: int) -> None:
    """Double-double alone would not do: what cancels is up to 1e99 times what is left."""
    x = np.array([1.0, 10.0**power, -3.0 * 10.0**power, 1.5, 2.5, 4.0, 4.5, 3.0, 2.0])
    anchor = START + np.arange(len(x)) * HOUR
    case = Case(Entries(key=np.zeros(len(x), dtype=np.int64), anchor=anchor, number=x), _ints(3), _ints(len(x)))
    for primitive in AGGREGATIONS.values():
        if "numeric" in primitive.inputs:
            [ours] = said(primitive, case)
            assert_same(ours, AGGREGATION_TWINS[primitive.name](case.observations(0)), 1.0)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _ints(value: int) -> Ints:
    return np.array([value], dtype=np.int64)


def _nulls(kind: str, n: int) -> dict[str, Any]:
    if kind == "categorical":
        return {"code": np.full(n, -1), "categories": 0}
    return {"instant": np.full(n, NEVER)} if kind == "time" else {"number": np.full(n, np.nan)}


def _same(kind: str, n: int) -> dict[str, Any]:
    if kind == "categorical":
        return {"code": np.full(n, 1), "categories": 2}
    if kind == "rows":
        return {}
    return {"instant": np.full(n, START)} if kind == "time" else {"number": np.ones(n)}
