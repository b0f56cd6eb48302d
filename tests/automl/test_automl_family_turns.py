"""Turns of families: parts of the time, who is in contention, and whom a trial is raced against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.automl.task.constant import constant_loss
from headrace.automl.task.metrics import METRICS
from headrace.automl.task.task import Task
from headrace.automl.trials.family_turns import FamilyTurns, Turn
from headrace.models.space import Config
from headrace.search.trial import Trial

RNG = np.random.default_rng(0)
#: Names of the families, and the first configs of a search.
FAMILIES = ("trees", "lines", "far")
FIRST: tuple[Config, ...] = tuple({"family": family} for family in FAMILIES)


class Numbered:
    """A searcher whose proposals bear its name and the number of trials that it has seen."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, history: Sequence[Trial], n: int, rng: Any, pending: Sequence[Config] = ()) -> list[Config]:
        return [{"family": "trees" if self.name == "joint" else self.name, "by": self.name, "seen": len(history)}]


def turns(*, timed: bool = True, own: Sequence[Config] = (), most: float = math.inf) -> FamilyTurns:
    """Turns of three families; a constant's loss is 10, and `lines` has at most so many trials."""
    return FamilyTurns(
        first=FIRST, joint=Numbered("joint"), constant_loss=10.0, timed=timed,
        turns={
            "trees": Turn(first=(), searcher=Numbered("trees")),
            "lines": Turn(first=own, searcher=Numbered("lines"), most=most),
            "far": Turn(first=(), searcher=Numbered("far")),
        },
    )  # fmt: skip


def trial(number: int, config: Config, loss: float | None, seconds: float = 1.0, status: Any = "ok") -> Trial:
    return Trial(number=number, config=config, status=status, loss=loss, seconds=seconds)


def after_the_first(lines: float = 1.5, lines_s: float = 1.0) -> list[Trial]:
    """Results of the first configs: `trees` has the best, `far` is 4 above it."""
    return [trial(0, FIRST[0], 1.0, 10.0), trial(1, FIRST[1], lines, lines_s), trial(2, FIRST[2], 5.0, 1.0)]


def test_the_first_configs_come_in_their_order() -> None:
    searcher, found = turns(), []
    for number in range(3):
        found += searcher.ask([trial(n, config, 1.0) for n, config in enumerate(found)], 1, RNG)
        assert found[number] == FIRST[number]


def test_a_family_near_the_best_that_used_little_time_is_next() -> None:
    assert turns().ask(after_the_first(), 1, RNG) == [{"family": "lines", "by": "lines", "seen": 1}]


def test_its_own_first_configs_come_before_its_searcher() -> None:
    own: list[Config] = [{"family": "lines", "strength": 1.0}, {"family": "lines", "strength": 2.0}]
    history = [*after_the_first(lines=1.0), trial(3, own[0], 2.0)]
    assert turns(own=own).ask(history, 1, RNG) == [own[1]]


@pytest.mark.parametrize(
    ("history", "why"),
    [
        (after_the_first(lines=2.0), "its loss is more than a tenth of the way to a constant's"),
        (after_the_first(lines=1.0, lines_s=9.0), "it has used more than a quarter, as one of two equally good ones"),
        (after_the_first(lines=1.5, lines_s=3.0), "it has used more than 5/9 : 13/9 of a half, as it is less near"),
        ([*after_the_first()[:1], trial(1, FIRST[1], None, status="failed"), after_the_first()[2]], "it failed"),
        ([*after_the_first()[:1], trial(1, FIRST[1], 1.1, status="stopped"), after_the_first()[2]], "it was stopped"),
    ],
)
def test_otherwise_the_joint_searcher_proposes(history: list[Trial], why: str) -> None:
    assert turns().ask(history, 1, RNG)[0]["by"] == "joint", why


def test_a_running_trial_counts_as_the_mean_of_its_family() -> None:
    """`lines` has used 3 s, with the running one 6 s; the quarter that belongs to it is 3.5 s and 4.25 s."""
    history, running = after_the_first(lines=1.0, lines_s=3.0), [dict(FIRST[1])]
    assert turns().ask(history, 1, RNG)[0]["by"] == "lines"
    assert turns().ask(history, 1, RNG, running)[0]["by"] == "joint"


def test_without_a_limit_of_time_trials_are_counted_so_that_proposals_do_not_depend_on_it() -> None:
    more = [trial(3 + n, {"family": "trees", "n": n}, 1.2) for n in range(9)]
    for seconds in (0.1, 1000.0):
        history = after_the_first(lines=1.0, lines_s=seconds)
        assert turns(timed=False).ask(history, 1, RNG)[0]["by"] == "joint"
        assert turns(timed=False).ask([*history, *more], 1, RNG)[0]["by"] == "lines"


def test_a_family_that_has_all_its_trials_leaves_its_part_to_the_others() -> None:
    history = [*after_the_first(lines=1.0), trial(3, {"family": "lines", "n": 1}, 1.2)]
    assert turns(most=3).ask(history, 1, RNG)[0]["by"] == "lines"
    dear = [*history[:2], trial(2, FIRST[2], 5.0, 15.0), history[3]]  # `trees` has 10 of 27 s: a quarter, not a half
    assert turns(most=3).ask(dear, 1, RNG)[0]["by"] == "lines"
    assert turns(most=2).ask(dear, 1, RNG)[0]["by"] == "trees"


def test_a_family_in_contention_is_raced_against_itself() -> None:
    history = [*after_the_first(), trial(3, {"family": "lines", "n": 1}, 1.2, 100.0)]
    assert turns().rivals({"family": "lines"}, history) == [history[1], history[3]]
    assert turns().rivals({"family": "trees"}, history) == [history[0]]
    assert turns().rivals({"family": "far"}, history) is None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), near=st.integers(0, 3))
def test_each_family_in_contention_gets_its_part(seed: int, near: int) -> None:
    """Families of any cost: in the end each near one has its part of the time, but for one trial of its own.

    The first family is the best, and `near` others are in contention: up to 0.9 above its loss of 1.
    """
    rng = np.random.default_rng(seed)
    names = [f"family {n}" for n in range(5)]
    cost = {name: float(rng.uniform(1.0, 10.0)) for name in names}
    loss = {name: 1.0 if n == 0 else float(rng.uniform(1.0, 1.6)) if n <= near else 8.0 for n, name in enumerate(names)}
    weight = {name: max(0.0, (1.9 - loss[name]) / 0.9) for name in names}

    class Joint(Numbered):
        def ask(self, history: Sequence[Trial], n: int, rng: Any, pending: Sequence[Config] = ()) -> list[Config]:
            return [{"family": names[0], "n": len(history)}]

    searcher = FamilyTurns(
        first=[{"family": name} for name in names], joint=Joint("joint"), constant_loss=10.0, timed=True,
        turns={name: Turn(first=(), searcher=Numbered(name)) for name in names},
    )  # fmt: skip
    history: list[Trial] = []
    for number in range(100):  # they make up for the first ones
        (config,) = searcher.ask(history, 1, rng)
        name = str(config["family"])
        history.append(trial(number, config, loss[name], cost[name]))
    used = {name: sum(t.seconds for t in history if t.config["family"] == name) for name in names}
    part = {name: 0.5 * sum(used.values()) * weight[name] / sum(weight.values()) for name in names}
    assert all(used[name] >= part[name] - max(cost.values()) for name in names[: near + 1])
    assert all(used[name] == cost[name] for name in names[near + 1 :])


NUMBERS, WEIGHTS = np.array([1.0, 2.0, 10.0]), np.array([2.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("metric", "kind", "label", "expected"),
    [
        ("rmse", "regression", NUMBERS, np.std(NUMBERS)),
        ("mae", "regression", NUMBERS, 3.0),
        ("r2", "regression", NUMBERS, 0.0),
        ("rmsle", "regression", NUMBERS, np.std(np.log1p(NUMBERS))),
        ("auc", "binary", np.array([0.0, 1.0, 1.0]), -0.5),
        ("log_loss", "binary", np.array([0.0, 1.0]), np.log(2)),
        ("log_loss", "multiclass", np.array([0.0, 1.0, 2.0]), np.log(3)),
    ],
)
def test_the_loss_of_a_constant_by_hand(metric: str, kind: Any, label: Any, expected: float) -> None:
    classes = tuple(np.unique(label)) if kind != "regression" else ()
    task = Task(kind=kind, metric=metric, classes=classes)
    assert constant_loss(label, None, task) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["rmse", "rmsle", "mae", "pinball", "log_loss", "brier"])
@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_no_other_constant_is_better(metric: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind = METRICS[metric].kinds[-1]
    classes = (0, 1, 2) if kind == "multiclass" else ()
    task = Task(kind=kind, metric=metric, classes=classes, quantiles=(0.1, 0.8) if kind == "quantile" else ())
    label = rng.integers(0, 3, 30).astype(float) if classes else rng.exponential(size=30)
    other = rng.dirichlet(np.ones(3)) if classes else rng.exponential(size=task.n_outputs)
    best = constant_loss(label, None, task)
    assert best <= METRICS[metric].loss(label, np.tile(other, (30, 1)), None, task) + 1e-12
