"""The comparison and the decision of a rollout: pure functions of pairs, rules and instants."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from headrace.core.clock import DAY, HOUR
from headrace.core.errors import DeclarationError
from headrace.pipeline.rollout.comparison import RolloutComparison, compare_pairs
from headrace.pipeline.rollout.decision import decide, describe
from headrace.pipeline.rollout.pairs import Pairs
from headrace.registry.rollout_tables import RolloutStep
from headrace.schema import Rollout

RULES = Rollout(shares=(0.1, 0.5), least_requests=100)
NOTHING = RolloutComparison(
    rows=0, blocks=0, champion_loss=math.nan, gain=math.nan, low=-math.inf, high=math.inf, better=1.0, worse=1.0,
    required=20.0, predicted=0, answered=0,
)  # fmt: skip
GOOD = replace(NOTHING, rows=500, blocks=30, champion_loss=0.2, gain=0.01, better=50.0, predicted=400)


def step(phase: str = "shadow", share: float = 0.0, at_us: int = 0) -> RolloutStep:
    return RolloutStep(
        sequence=1, id="r", version="2", champion="1", phase=phase, share=share, reason="gate", at_us=at_us,
    )  # type: ignore[arg-type]  # fmt: skip


def made(seed: int, *, shift: float, rows_an_hour: int = 40, hours: int = 120) -> Pairs:
    """Probabilities of a champion, and of a challenger that is worse by a shift on the log scale."""
    rng = np.random.default_rng(seed)
    n = rows_an_hour * hours
    logit = rng.normal(0, 1, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    known = np.arange(n, dtype=np.int64) * (HOUR // rows_an_hour)
    noise = logit + rng.normal(0, 0.3, n)
    champion, challenger = (1 / (1 + np.exp(-one)) for one in (noise, noise + shift + rng.normal(0, 0.3, n)))
    return Pairs(label=label, known_us=known, champion=champion, challenger=challenger, predicted=n)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "auc"])
def test_a_worse_challenger_is_found_and_never_found_better(metric: str) -> None:
    pairs = made(1, shift=0.0)
    worse = replace(pairs, challenger=np.random.default_rng(2).permutation(pairs.challenger))
    found = compare_pairs(worse, metric, RULES, now_us=200 * HOUR)
    assert found.is_worse
    assert not found.is_better
    assert found.gain < 0
    assert found.high < 0


@pytest.mark.parametrize("metric", ["log_loss", "brier", "auc"])
def test_a_better_challenger_is_found(metric: str) -> None:
    pairs = made(3, shift=0.0)
    better = replace(pairs, champion=pairs.challenger, challenger=(pairs.label + pairs.champion) / 2)
    found = compare_pairs(better, metric, RULES, now_us=200 * HOUR)
    assert found.is_better
    assert not found.is_worse


def test_a_look_at_any_time_uses_what_was_known_by_then() -> None:
    """Looking at hour h finds what looking later finds on the same prefix of blocks."""
    pairs = made(4, shift=0.0)
    for hour in (10, 50, 120):
        known = pairs.known_us < hour * HOUR
        prefix = Pairs(
            label=pairs.label[known], known_us=pairs.known_us[known], champion=pairs.champion[known],
            challenger=pairs.challenger[known],
        )  # fmt: skip
        early = compare_pairs(prefix, "brier", RULES, now_us=hour * HOUR)
        assert early.blocks == hour
        late = compare_pairs(pairs, "brier", RULES, now_us=hour * HOUR)
        assert (early.better, early.worse, early.gain) == (late.better, late.worse, late.gain)


def test_wrong_decisions_stay_below_the_level() -> None:
    """A challenger that is exactly as good is rarely rolled back; one at the tolerance is rarely promoted."""
    rules = Rollout(tolerance=0.02, error=0.05)
    runs, rolled_back, promoted = 100, 0, 0
    for seed in range(runs):
        pairs = made(seed, shift=0.0, hours=100)
        swapped = np.random.default_rng(seed).random(len(pairs.label)) < 0.5
        one, other = (
            np.where(swapped, first, second)
            for first, second in ((pairs.champion, pairs.challenger), (pairs.challenger, pairs.champion))
        )
        equal = replace(pairs, champion=one, challenger=other)
        rolled_back += compare_pairs(equal, "brier", rules, now_us=100 * HOUR).is_worse
        # the challenger's squared error is larger by exactly 2 % on average: the boundary
        loss = (pairs.label - one) ** 2
        noise = np.random.default_rng(seed + 1_000).choice([-1.0, 1.0], len(loss)) * 0.3 * loss
        boundary = replace(equal, challenger=np.abs(pairs.label - np.sqrt(np.clip(loss * 1.02 + noise, 0, 1))))
        promoted += compare_pairs(boundary, "brier", rules, now_us=100 * HOUR).is_better
    limit = 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
    assert rolled_back / runs <= limit
    assert promoted / runs <= limit


def test_each_step_needs_its_time_and_its_predictions() -> None:
    early = decide(step(), GOOD, RULES, began_us=0, now_us=DAY - 1)
    assert (early.action, early.reason) == ("go on", "shadow until 1970-01-02T00:00:00Z at least (1d)")
    few = decide(step(), replace(GOOD, predicted=99), RULES, began_us=0, now_us=DAY)
    assert (few.action, few.reason) == ("go on", "shadow: 99 of 100 predictions")
    enough = decide(step(), GOOD, RULES, began_us=0, now_us=DAY)
    assert (enough.action, enough.share) == ("advance", 0.1)
    further = decide(step("canary", 0.1, DAY), GOOD, RULES, began_us=0, now_us=2 * DAY)
    assert (further.action, further.share) == ("advance", 0.5)


def test_the_last_step_promotes_only_what_is_shown() -> None:
    last = step("canary", 0.5, DAY)
    shown = decide(last, GOOD, RULES, began_us=0, now_us=3 * DAY)
    assert shown.action == "promote"
    assert "within 2.0% of the champion's" in shown.reason
    open_ = decide(last, replace(GOOD, better=19.0), RULES, began_us=0, now_us=3 * DAY)
    assert (open_.action, open_.share) == ("go on", 0.5)
    assert open_.reason.startswith("not shown yet: 5.00% less loss")
    straight = decide(step(), GOOD, replace(RULES, shares=()), began_us=0, now_us=DAY)
    assert straight.action == "promote"


def test_a_worse_challenger_is_rolled_back_at_any_time() -> None:
    bad = replace(GOOD, gain=-0.1, better=1.0, worse=21.0)
    for one in (step(), step("canary", 0.1), step("canary", 0.5)):
        found = decide(one, bad, RULES, began_us=0, now_us=1)
        assert found.action == "roll back"
        assert "50.00% more loss" in found.reason


def test_an_undecided_rollout_ends_at_its_deadline() -> None:
    found = decide(step("canary", 0.5), replace(GOOD, better=2.0), RULES, began_us=0, now_us=28 * DAY)
    assert (found.action, found.share) == ("end", 0.0)
    assert describe(NOTHING) == "no block of labels is complete yet"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shares": (0.5, 0.1)}, "do not increase"),
        ({"shares": (1.5,)}, "between 0 and 1"),
        ({"shares": "0.1"}, "give shares such as"),
        ({"error": 0.7}, "error=0.7"),
        ({"latency": 0.5}, "latency=0.5"),
        ({"hold": 3}, "not a duration"),
        ({"tolerance": -0.1}, "tolerance=-0.1"),
        ({"least_requests": 0}, "least_requests=0"),
    ],
)
def test_wrong_rules_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Rollout(**wrong)  # type: ignore[arg-type]
