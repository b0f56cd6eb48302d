"""Walks over a table of candidates: production's decisions, published rules, calendars, their sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY
from headrace.monitor.policy.decision import PastDecision, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from headrace.replay.cause import cause_of
from headrace.replay.evidence import Evidence
from headrace.replay.hindsight import hindsight
from headrace.replay.outcome import Blocks, recommend, summarise
from headrace.replay.policies import NEVER
from headrace.replay.sequential import ALLOWANCE, cusum, upf_rule
from headrace.replay.table import LossTable
from headrace.replay.walk import calendar, chosen, walk_policy, walk_rule
from headrace.schema import Policy, Worth
from tests.replay.tables_of_losses import table

QUALITY = Policy(quality=True, drift=False, worth=None, cooldown="1d", budget=100)


@dataclass(frozen=True)
class Recorded:
    """Evidence of a test: quality drops in some periods, whoever is champion."""

    table: LossTable
    dropped: frozenset[int]
    cpu_s: Mapping[Any, float] = field(default_factory=dict)
    problem: Any = field(
        default_factory=lambda: SimpleNamespace(metric="rmse", margin=0.05, gate_share=0.1, name="recorded")
    )

    def window(self, champion: int, period: int, policy: Policy) -> Window:
        end = int(self.table.instants_us[period + 1])
        drop = Finding(name="rmse", about="quality", effect=0.2)
        return Window(
            problem="recorded",
            start_us=end - 7 * DAY,
            end_us=end,
            champion=str(champion),
            findings=(drop,) if period in self.dropped else (),
            age_us=end - int(self.table.instants_us[champion]),
        )


def evidence(losses: LossTable, *dropped: int) -> Evidence:
    return cast(Evidence, Recorded(losses, frozenset(dropped)))


@settings(max_examples=20, deadline=None)
@given(dropped=st.sets(st.integers(3, 11)), cooldown=st.sampled_from(["1d", "14d", "21d"]))
def test_a_walk_decides_as_production_does_on_the_same_windows(dropped: set[int], cooldown: str) -> None:
    losses, policy = table(), replace(QUALITY, cooldown=cooldown, budget=2)
    seen = evidence(losses, *dropped)
    walk = walk_policy("quality", policy, seen)
    history: list[PastDecision] = []
    for step in walk.steps[:-1]:  # at the end of the last one nothing is decided
        decision = decide(seen.window(step.champion, step.period, policy), history, policy)
        assert step.kind == decision.kind
        history.append(PastDecision(decision=decision, outcome=step.outcome, outcome_reason=step.reason))


def test_a_gate_refuses_what_is_worse_and_promotes_what_is_not() -> None:
    better = walk_policy("quality", QUALITY, evidence(table(drift=0.5), 5))
    assert [step.outcome for step in better.steps if step.kind == "retrain"] == ["promoted"]
    assert better.champions.tolist() == [3, 3, 3, 6, 6, 6, 6, 6, 6]
    falling = table(drift=0.5)
    worse = replace(falling, label=falling.label * 0.0)  # newer candidates predict more, and the label does not move
    refused = walk_policy("quality", QUALITY, evidence(worse, 5))
    assert [step.outcome for step in refused.steps if step.kind == "retrain"] == ["refused"]
    assert set(refused.champions) == {3}


def test_without_a_gate_a_trigger_is_the_calendar_whatever_the_gate_would_say() -> None:
    falling = table(drift=0.5)
    worse = replace(falling, label=falling.label * 0.0)  # newer candidates predict more, and the label does not move
    aged = replace(QUALITY, quality=False, age="14d")
    gated = walk_policy("age", aged, evidence(worse))
    ungated = walk_policy("age, no gate", replace(aged, gate=False), evidence(worse))
    assert gated.promoted == 0
    assert ungated.champions.tolist() == walk_rule("every 2", calendar(2), worse).champions.tolist()
    assert {step.outcome for step in ungated.steps if step.kind == "retrain"} == {"promoted"}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    drift=st.sampled_from([0.0, 0.0, 0.02, 0.1]),
    cost=st.sampled_from([0.01, 0.04, 0.3, 1.0]),
    data=st.data(),
)
def test_where_no_choice_in_hindsight_gains_its_cost_the_recommended_policy_retrains_never(
    seed: int, drift: float, cost: float, data: st.DataObject
) -> None:
    losses = table(models=8, first=2, drift=drift, seed=seed)
    never = walk_rule(NEVER, lambda *_: False, losses)
    choices = data.draw(st.lists(st.sets(st.integers(3, 7), min_size=1), min_size=1, max_size=5))
    walks = [never, *(walk_rule(f"policy {i}", chosen(sorted(one)), losses) for i, one in enumerate(choices))]
    optima = hindsight(losses.loss, losses.first, 5)
    outcomes, best = summarise(
        losses, walks, {}, optima, cost_weeks=cost, production=[walk.name for walk in walks], seed=0
    )
    weeks = len(losses.periods)
    gains = [(optima[0].loss - one.loss) / optima[0].loss * weeks for one in optima]
    if all(gain <= cost * count for count, gain in enumerate(gains)):
        assert best.name == NEVER
    chosen_one = next(one for one in outcomes if one.name == best.name)
    assert chosen_one.cost <= weeks + 1e-9, "never dearer than never to retrain"


def test_a_policy_is_compared_with_calendars_of_as_many_retrains_or_between_two_of_them() -> None:
    losses = table(drift=0.3)
    never = walk_rule(NEVER, lambda *_: False, losses)
    calendars = {every: walk_rule(f"{every}", calendar(every), losses) for every in range(1, 9)}
    counts = {every: walk.promoted for every, walk in calendars.items()}
    assert counts == {1: 8, 2: 4, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 1}
    walks = [never, *calendars.values(), walk_rule("three", chosen((4, 6, 9)), losses)]
    found, _ = summarise(
        losses, walks, calendars, hindsight(losses.loss, 3, 8), cost_weeks=0.04, production=(NEVER,), seed=0
    )
    by_name = {one.name: one for one in found}
    assert [by_name[str(every)].against_calendar for every in (1, 2)] == [(0, 0, 0)] * 2
    better = min(by_name["3"].loss, by_name["4"].loss)
    between = (better + by_name["2"].loss) / 2  # three is half way from two to four
    difference = by_name["three"].against_calendar
    assert difference is not None
    assert difference[0] == pytest.approx(between - by_name["three"].loss)
    assert by_name[NEVER].against_calendar is None


def test_age_retrains_as_the_calendar_does() -> None:
    losses = table(drift=0.5)
    by_age = walk_policy("age", replace(QUALITY, quality=False, age="14d"), evidence(losses))
    by_calendar = walk_rule("every 2", calendar(2), losses)
    assert by_age.champions.tolist() == by_calendar.champions.tolist() == [3, 3, 5, 5, 7, 7, 9, 9, 11]
    assert by_age.cpu_s == by_calendar.cpu_s == 4


def test_cusum_is_its_recursion() -> None:
    rng = np.random.default_rng(0)
    reference, values = rng.normal(1, 0.5, 30), rng.normal(1.5, 0.5, 40)
    total, sums = 0.0, []
    for value in values:
        total = max(0.0, total + (value - reference.mean()) / reference.std(ddof=1) - ALLOWANCE)
        sums.append(total)
    assert cusum(values, reference) == pytest.approx(sums)


def test_upf_retrains_where_models_age_and_not_where_they_do_not() -> None:
    rule = upf_rule(Worth(), 7 * DAY)
    aging_models = walk_rule("UPF", rule, table(drift=0.5, rows=200))
    steady = walk_rule("UPF", rule, table(drift=0.0, rows=200))
    assert aging_models.retrains > 3
    assert steady.retrains == 0


def test_a_recommendation_is_the_cheapest_and_says_how_surely() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(10, 3, 500)  # paired: what all policies share does not matter
    costs = {
        "dear": np.concatenate([[11.0], common + 1]),
        "cheap": np.concatenate([[10.0], common]),
        "even": np.concatenate([[10.1], common + rng.normal(0.1, 0.1, 500)]),
    }
    found = recommend(costs)
    assert (found.name, found.second) == ("cheap", "even")
    assert 0.7 < found.confidence < 0.95
    assert found.margin[1] < 0.1 < found.margin[2]


def test_a_cause_is_told_apart() -> None:
    rows = np.full(12, 100.0)
    noise = np.random.default_rng(0).normal(0, 1, (12, 3))

    def verdict(old: float, recent: float, full: float) -> str:
        losses = np.array([old, recent, full]) * 100 + noise
        return cause_of(np.column_stack([losses, rows]), rows=100).verdict

    assert verdict(1.2, 1.0, 1.0) == "drift"
    assert verdict(1.0, 1.0, 0.9) == "more rows"
    assert verdict(1.2, 1.0, 0.9) == "drift and more rows"
    assert verdict(1.0, 1.1, 1.2) == "neither for certain"


def test_losses_by_block_are_those_of_the_rows() -> None:
    losses = table()
    walk = walk_rule("hindsight", chosen((5, 9)), losses)
    blocks = Blocks.of(losses, seed=0)
    served = losses.served(walk.champions)
    inside = np.isfinite(served)
    by_row = float(((losses.label[inside] - served[inside]) ** 2).mean())
    assert blocks.losses(losses, walk.champions)[0] == pytest.approx(by_row, rel=1e-5)


def test_a_shadow_that_has_won_is_promoted_without_a_gate() -> None:
    losses = table(drift=0.3, rows=400)
    policy = replace(QUALITY, quality=False, worth=Worth(confidence=0.5, cost=0.01))

    @dataclass(frozen=True)
    class WithWorth(Recorded):
        def window(self, champion: int, period: int, policy: Policy) -> Window:
            measure = Evidence(problem=None, plan=None, rows=None, candidates=SimpleNamespace(table=self.table))  # type: ignore[arg-type]
            assert policy.worth is not None
            found = measure.worth(champion, period, policy.worth)
            return replace(super().window(champion, period, policy), worth=found)

    seen = cast(Evidence, WithWorth(losses, frozenset()))
    walk = walk_policy("worth", policy, seen)
    started = [step for step in walk.steps if step.kind == "retrain"]
    assert len(started) > 1
    for step in started:  # the newest shadow with labels, which is a period older than the decision
        assert (step.outcome, step.following) == ("promoted", step.period)
    assert walk.cpu_s == len(losses.periods) - 1
    refit = replace(policy, worth=Worth(rule="regret", promote="refit", cost=0.01))
    for step in walk_policy("regret", refit, seen).steps:  # all rows known at the decision
        assert step.following == (step.period + 1 if step.kind == "retrain" else step.champion)
    assert walk_policy("regret", refit, seen).promoted > 1
