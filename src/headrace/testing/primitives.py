"""The conformance suites of primitives: kernels agree with their twins, and no bit depends on what was not yet known.

class TestSpread(AggregationConformance):
    @pytest.fixture
    def family(self):
        return SPREAD

class TestHalf(TransformConformance):
    @pytest.fixture
    def transform(self):
        return HALF
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from headrace.core.clock import DAY
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.extensions import register
from headrace.synthesis.language.definitions import Aggregate, from_json, to_json
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.oracle.transforms import TRANSFORM_TWINS
from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS, Aggregation, AggregationFamily, TransformPrimitive
from headrace.synthesis.primitives.catalogue import CATALOGUE, aggregate
from headrace.synthesis.primitives.entries import Entries
from headrace.testing.engines import assert_close
from headrace.testing.primitive_cases import (
    START,
    Case,
    assert_same,
    ints,
    nulls,
    random_case,
    results,
    same,
    scale_of,
    values,
)
from headrace.testing.primitive_definitions import aggregates, transforms
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_world import problem


def cases_of(family: AggregationFamily) -> Iterator[tuple[Aggregation, str]]:
    """Each aggregation of a family with each kind of column that it takes, and "rows"."""
    for primitive in family.aggregations:
        for kind in (*primitive.inputs, *(("rows",) if primitive.rows else ())):
            yield primitive, kind


class AggregationConformance:
    """What every `AggregationFamily` must do. Override the fixture `family`."""

    @pytest.fixture
    def family(self) -> AggregationFamily:
        """The family under test."""
        raise NotImplementedError("give a fixture `family` that returns your family of aggregations")

    @pytest.fixture(autouse=True)
    def _registered(self, family: AggregationFamily) -> Iterator[None]:
        """The family is known to engine and oracle while a test runs."""
        known = all(name in AGGREGATION_TWINS for name in family.names)
        if not known:
            register(family)
        yield
        for name in () if known else family.names:
            for members in (CATALOGUE.aggregations, CATALOGUE.families, AGGREGATION_TWINS):
                members.pop(name, None)

    def test_a_family_agrees_with_its_twin(self, family: AggregationFamily) -> None:
        for primitive, kind in cases_of(family):
            for seed in range(12):
                case = random_case(kind, seed)
                for query, ours in enumerate(results(primitive, case)):
                    observations = case.observations(query)
                    assert_same(ours, AGGREGATION_TWINS[primitive.name](observations), scale_of(observations))

    def test_a_query_is_answered_by_its_own_entries_alone(self, family: AggregationFamily) -> None:
        """Alone, or among others; with later entries, or without: the same bits."""
        for primitive, kind in cases_of(family):
            for seed in (1, 2, 3):
                case = random_case(kind, seed)
                together = aggregate(case.entries, case.lo, case.hi, [primitive.name])[primitive.name]
                for query in range(len(case.lo)):
                    key = case.entries.key[case.lo[query]] if case.lo[query] < len(case.entries.key) else -1
                    until = max(case.hi[query], int(np.searchsorted(case.entries.key, key)))
                    early = case.entries.take(np.arange(until), case.entries.key[:until])
                    alone = aggregate(early, case.lo[[query]], case.hi[[query]], [primitive.name])[primitive.name]
                    assert np.array_equal(alone[0], together[query], equal_nan=True)

    def test_other_primitives_beside_it_change_no_bit(self, family: AggregationFamily) -> None:
        for primitive, kind in cases_of(family):
            case = random_case(kind, 5)
            beside = [p.name for p in AGGREGATIONS.values() if kind in p.inputs or (kind == "rows" and p.rows)]
            alone = aggregate(case.entries, case.lo, case.hi, [primitive.name])[primitive.name]
            among = aggregate(case.entries, case.lo, case.hi, beside)[primitive.name]
            assert np.array_equal(alone, among, equal_nan=True)

    def test_of_nothing_it_is_what_the_catalogue_says(self, family: AggregationFamily) -> None:
        """No entries at all; entries before and after the window; nulls only."""
        for primitive, kind in cases_of(family):
            some = Entries(
                key=np.zeros(4, dtype=np.int64),
                anchor=START + np.arange(4),
                **values(kind, 4, np.random.default_rng(0)),
            )
            none = some.take(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
            null = Entries(key=some.key, anchor=some.anchor, **nulls(kind, 4))
            cases = [Case(none, ints(0), ints(0)), Case(some, ints(2), ints(2))]
            cases += [Case(null, ints(0), ints(4))] if kind != "rows" else []
            for case in cases:
                [ours] = results(primitive, case)
                observations = case.observations(0)
                assert ours == AGGREGATION_TWINS[primitive.name](observations)
                if not observations:
                    assert ours == ([None] * primitive.outputs if primitive.outputs > 1 else primitive.empty)

    def test_one_row_and_ties(self, family: AggregationFamily) -> None:
        for primitive, kind in cases_of(family):
            for n in (1, 2, 3):
                entries = Entries(key=np.zeros(n, dtype=np.int64), anchor=np.full(n, START), **same(kind, n))
                case = Case(entries, ints(0), ints(n))
                [ours] = results(primitive, case)
                assert_same(ours, AGGREGATION_TWINS[primitive.name](case.observations(0)), 1.0)

    def test_the_catalogue_is_whole(self, family: AggregationFamily) -> None:
        for primitive in family.aggregations:
            assert primitive.name in AGGREGATION_TWINS
            assert primitive.description
            assert primitive.cost > 0
            assert primitive.inputs
            assert primitive.finish is None or primitive.finish in TRANSFORMS
            assert primitive.result in (None, "numeric", "categorical", "boolean", "time")

    def test_a_definition_survives_json(self, family: AggregationFamily) -> None:
        for primitive in family.aggregations:
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

    @pytest.mark.parametrize("seed", range(6))
    def test_through_the_engine_it_agrees_with_the_oracle(self, family: AggregationFamily, seed: int) -> None:
        """With corrections, ties, nulls and late arrivals."""
        definitions = [item for primitive in family.aggregations for item in aggregates(primitive)]
        snapshot, keys = random_world(seed), random_queries(seed + 1_000, most=5)
        ours = LocalEngine().compute(problem, definitions, keys, snapshot)
        assert_close(ours, Oracle().compute(problem, definitions, keys, snapshot))


class TransformConformance:
    """What every `TransformPrimitive` must do. Override the fixture `transform`."""

    @pytest.fixture
    def transform(self) -> TransformPrimitive:
        """The transform under test."""
        raise NotImplementedError("give a fixture `transform` that returns your transform")

    @pytest.fixture(autouse=True)
    def _registered(self, transform: TransformPrimitive) -> Iterator[None]:
        """The transform is known to engine and oracle while a test runs."""
        known = transform.name in TRANSFORM_TWINS
        if not known:
            register(transform)
        yield
        if not known:
            CATALOGUE.transforms.pop(transform.name, None)
            TRANSFORM_TWINS.pop(transform.name, None)

    @pytest.mark.parametrize("seed", range(6))
    def test_through_the_engine_it_agrees_with_the_oracle(self, transform: TransformPrimitive, seed: int) -> None:
        definitions = transforms(transform)
        snapshot, keys = random_world(seed), random_queries(seed + 1_000, most=5)
        ours = LocalEngine().compute(problem, definitions, keys, snapshot)
        assert_close(ours, Oracle().compute(problem, definitions, keys, snapshot))

    def test_it_is_described(self, transform: TransformPrimitive) -> None:
        assert transform.description
        assert transform.cost > 0
        assert transform.inputs
        assert transform.result in ("numeric", "categorical", "boolean", "time")
