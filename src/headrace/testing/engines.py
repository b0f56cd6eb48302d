"""The conformance suite of engines: they agree with the oracle, and no value depends on what was not yet known.

class TestMyEngine(EngineConformance):
    @pytest.fixture
    def engine(self):
        return MyEngine()
"""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.synthesis.language.engine import Engine
from headrace.synthesis.oracle.oracle import Oracle
from headrace.testing.random_world import Draw, corrected, order, random_queries, random_world
from headrace.testing.shop_definitions import EVERYTHING, PAST_LABELS, THROUGH, one, scheduled
from headrace.testing.shop_world import World, at, problem, queries, us

_ALL = [*EVERYTHING, *THROUGH]


def assert_close(ours: pa.Table, truth: pa.Table) -> None:
    """Equal columns, equal values: numbers within 1e-9, anything else exactly."""
    assert ours.column_names == truth.column_names
    for name in truth.column_names:
        for mine, true in zip(ours[name].to_pylist(), truth[name].to_pylist(), strict=True):
            if isinstance(true, float) and isinstance(mine, float):
                assert mine == pytest.approx(true, rel=1e-9, abs=1e-9), name
            else:
                assert mine == true, name


def paid(key: int, hours: float, amount: float | None, **more: object) -> dict[str, object]:
    """An order of customer a that is paid when it was planned."""
    return {"order_id": key, "customer": "a", "planned": at(hours), "paid": at(hours), "amount": amount, **more}


def value(
    engine: Engine, world: World, primitive: str, hours: float, span: int | None = None, column: str = "amount"
) -> object:
    """One aggregation of the orders of customer a, at an instant some hours after the start."""
    definition = one("customer", "orders", ("customer",), column, primitive, span)
    result = engine.compute(problem, [definition], queries([("a", None, None, hours)]), world)
    return result[definition.slug][0].as_py()


class EngineConformance:
    """What every `headrace.synthesis.language.engine.Engine` must do. Override the fixture `engine`."""

    @pytest.fixture
    def engine(self) -> Engine:
        """The engine under test."""
        raise NotImplementedError("give a fixture `engine` that returns your engine")

    @pytest.mark.parametrize("seed", range(40))
    def test_engine_agrees_with_oracle(self, engine: Engine, seed: int) -> None:
        snapshot, keys = random_world(seed), random_queries(seed + 1_000)
        ours = engine.compute(problem, _ALL, keys, snapshot)
        assert_close(ours, Oracle().compute(problem, _ALL, keys, snapshot))

    @pytest.mark.parametrize("seed", range(10))
    def test_past_labels_are_those_of_the_oracle_and_of_nothing_later(self, engine: Engine, seed: int) -> None:
        """A schedule's label history, before and after rows that arrive at the tick or after it."""
        before = random_world(seed)
        keys = random_queries(seed + 1_000, most=4).select(["customer", "tick"])
        tick = keys["tick"][0].as_py()
        keys = keys.set_column(1, "tick", pa.array([tick] * keys.num_rows))
        late = [{**row, "page": "late", "_arrival": tick} for row in before.rows["visits"]]
        after = World({**before.rows, "visits": [*before.rows["visits"], *late]})
        was, now = (engine.compute(scheduled, PAST_LABELS, keys, snapshot) for snapshot in (before, after))
        assert_close(was, Oracle().compute(scheduled, PAST_LABELS, keys, before))
        assert now.equals(was)

    @pytest.mark.parametrize("seed", range(40))
    def test_what_is_known_later_changes_no_bit(self, engine: Engine, seed: int) -> None:
        """Corrections and new rows that arrive at the tick or after it, in any number, with any declared times."""
        before = random_world(seed)
        keys = random_queries(seed + 1_000, most=4)
        tick = keys["tick"][0].as_py()
        keys = keys.set_column(keys.column_names.index("tick"), "tick", pa.array([tick] * keys.num_rows))
        draw = Draw(seed + 2_000)
        added = [order(draw, 1_000 + key) for key in range(8)]
        added += [corrected(draw, draw.one(before.rows["orders"])) for _ in range(8) if before.rows["orders"]]
        late = [{**row, "_arrival": tick + int(draw.rng.integers(0, 3))} for row in added]
        after = World({**before.rows, "orders": [*before.rows["orders"], *late]})
        was, now = (engine.compute(problem, _ALL, keys, snapshot) for snapshot in (before, after))
        assert now.equals(was)

    @pytest.mark.parametrize("seed", range(20))
    def test_a_value_depends_on_its_own_query_alone(self, engine: Engine, seed: int) -> None:
        """All at once, or one by one (as a materialisation asks): the same bits, in the order of the keys."""
        snapshot, keys = random_world(seed), random_queries(seed + 1_000)
        together = engine.compute(problem, _ALL, keys, snapshot)
        for index in range(keys.num_rows):
            assert engine.compute(problem, _ALL, keys.slice(index, 1), snapshot).equals(together.slice(index, 1))

    def test_an_event_exactly_at_the_tick_is_not_seen_and_one_exactly_a_lookback_ago_is(self, engine: Engine) -> None:
        world = World({"orders": [paid(1, 10, 5.0)]})
        two_hours = problem.lookbacks_us[0]
        assert [value(engine, world, "count", hours, two_hours) for hours in (10, 10.25, 12, 12.25)] == [0, 1, 1, 0]

    def test_a_correction_replaces_the_value_from_its_arrival_on(self, engine: Engine) -> None:
        world = World({"orders": [paid(1, 10, 5.0), paid(2, 11, 7.0), paid(1, 10, 50.0, _arrival=us(20))]})
        assert [value(engine, world, "sum", hours) for hours in (12, 20, 20.25)] == [12.0, 12.0, 57.0]
        assert [value(engine, world, "count", hours, problem.lookbacks_us[0]) for hours in (12, 20.25)] == [2, 1]

    def test_the_same_value_again_keeps_its_first_known_time(self, engine: Engine) -> None:
        world = World({"orders": [paid(1, 10, 5.0), paid(1, 10, 5.0, _arrival=us(20))]})
        assert value(engine, world, "last_time", 30) == us(10)
        assert value(engine, world, "count", 21, problem.lookbacks_us[0]) == 0

    def test_a_row_moved_to_another_key_leaves_the_first(self, engine: Engine) -> None:
        world = World({"orders": [paid(1, 10, 5.0), paid(1, 10, 5.0, customer="b", _arrival=us(20))]})
        assert [value(engine, world, "count", hours) for hours in (20, 20.25)] == [1, 0]

    def test_an_older_version_that_arrives_late_does_not_come_back(self, engine: Engine) -> None:
        """The version appended last wins, even where an earlier one becomes known after it."""
        world = World({"orders": [paid(1, 30, 5.0), paid(1, 10, 9.0)]})
        assert [value(engine, world, "max", hours) for hours in (12, 31)] == [9.0, 9.0]

    def test_large_numbers_lose_no_digits_in_later_windows(self, engine: Engine) -> None:
        """A window of small spread after a prefix of huge numbers, on a centre far away from it."""
        amounts = [0.0, 1e12, -3e11, 1e8 + 1, 1e8 + 2, 1e8 + 4]
        world = World({"orders": [paid(key, 10 + key / 2, amount) for key, amount in enumerate(amounts)]})
        span = problem.lookbacks_us[0]
        assert value(engine, world, "count", 13.25, span) == 3
        assert value(engine, world, "std", 13.25, span) == pytest.approx(1.5275252316519468, rel=1e-9)
        assert value(engine, world, "skew", 13.25, span) == pytest.approx(0.9352195295828235, rel=1e-9)

    def test_sums_survive_an_infinite_number_elsewhere(self, engine: Engine) -> None:
        visits = [
            {"visit_id": key, "visitor": "a", "at": at(key), "seconds": seconds}
            for key, seconds in enumerate([1.0, float("inf"), float("nan"), 2.0])
        ]
        definition = one("customer", "visits", ("visitor",), "seconds", "sum", None)
        result = engine.compute(problem, [definition], queries([("a", None, None, 20)]), World({"visits": visits}))
        assert result[definition.slug].to_pylist() == [3.0]

    def test_an_unknown_entity_counts_nothing_and_a_null_key_is_missing(self, engine: Engine) -> None:
        definitions = [
            one("customer", "orders", ("customer",), "amount", name, None) for name in ("count", "sum", "mean")
        ]
        keys = queries([("nobody", None, None, 5), (None, None, None, 5)])
        result = engine.compute(problem, definitions, keys, World({"orders": [paid(1, 1, 2.0)]}))
        assert result.to_pydict() == {
            definitions[0].slug: [0.0, None],
            definitions[1].slug: [0.0, None],
            definitions[2].slug: [None, None],
        }
