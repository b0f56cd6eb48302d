"""How many rounds a configuration gets: from the mean of folds, smoothed, and never a handful."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from headrace.evaluate.splits import known_before_rows, time_folds, time_windows
from headrace.models.callback import NoCallback
from headrace.models.families import FAMILIES, warm_start
from headrace.models.recipe import fit_rounds
from headrace.models.rounds import HALF_WIDTH, MAX_STEP_REDUCTION, MIN_ROUNDS, PATIENCE, Curve, boost, find_rounds
from headrace.testing import model_data as examples


@dataclass
class _Scripted:
    """A learner whose losses are given. slowness: of its steps."""

    loss: Callable[[float], float]
    slowness: float = 1.0
    max_rounds: int = 300
    done: int = 0

    def step(self) -> float | None:
        if self.done >= self.max_rounds:
            return None
        self.done += 1
        return float(self.loss(self.done / self.slowness))

    def fitted(self, rounds: int) -> Any:
        raise AssertionError("nobody asks")


@dataclass
class _Heard(NoCallback):
    rungs: list[tuple[str, float]] = field(default_factory=list)
    ticks: int = 0

    def on_rung(self, name: str, loss: float) -> None:
        self.rungs.append((name, loss))

    def on_round(self, loss: float) -> None:
        self.ticks += 1


def _valley(at: float) -> Callable[[float], float]:
    return lambda rounds: abs(rounds - at) / 100


def _curve(losses: Sequence[float], min_rounds: int = 1) -> Curve:
    curve = Curve(min_rounds=min_rounds)
    for loss in losses:
        curve.add(float(loss))
    curve.end()
    return curve


def test_smoothed_by_hand() -> None:
    """A dent of one round is not the best; the middle of the valley around it is."""
    losses = [5.0] * 10 + [1.0] + [5.0] * 10 + [3.0] * 11 + [5.0] * 10
    curve = _curve(losses)
    assert curve.best == 27
    assert curve.loss == 3.0


def test_one_lucky_round_early_does_not_stop_it() -> None:
    """What early stopping on one window did: round 2 by luck, then nothing better for twenty rounds."""
    losses = [1.0 - 0.001 * r for r in range(200)]
    losses[1] = 0.9
    learner = _Scripted(lambda rounds: losses[int(rounds) - 1], max_rounds=200)
    curve = boost([learner])
    assert curve.best > 190


def test_the_mean_of_folds_is_what_counts() -> None:
    curve = boost([_Scripted(_valley(40)), _Scripted(_valley(40)), _Scripted(_valley(160))])
    assert 35 <= curve.best <= 45
    assert curve.loss == pytest.approx(np.mean([0, 0, 1.2]), abs=0.05)


def test_boosting_ends_when_more_is_of_no_use() -> None:
    learner = _Scripted(_valley(50))
    assert boost([learner]).best == 50
    assert learner.done == 50 + PATIENCE + HALF_WIDTH


def test_the_last_round_can_be_the_best() -> None:
    assert boost([_Scripted(lambda rounds: -rounds)]).best == 300
    assert boost([_Scripted(lambda rounds: -rounds)], max_rounds=17).best == 17


def test_no_fewer_than_asked_for_are_best() -> None:
    assert boost([_Scripted(_valley(9))], min_rounds=30).best == 30
    assert _curve([1.0, 2.0, 3.0], min_rounds=30).best == 3, "where there are no more, all there are"


@pytest.mark.parametrize("handful", [2, 9, 29])
def test_a_handful_of_rounds_becomes_as_much_in_smaller_steps(handful: int) -> None:
    """The learning rates that stopped there: as far is learnt, in LEAST_ROUNDS steps at least."""
    family, started = FAMILIES["lightgbm"], []

    def start(config: dict[str, Any]) -> list[_Scripted]:
        started.append(config)
        return [_Scripted(_valley(handful), slowness=0.2 / float(config["learning_rate"]))] * 1

    found = find_rounds(family, {**family.default(), "learning_rate": 0.2}, start)  # type: ignore[arg-type]
    assert found.rounds is not None
    assert found.rounds >= MIN_ROUNDS
    min_rounds = MIN_ROUNDS / MAX_STEP_REDUCTION
    assert float(found.config["learning_rate"]) * found.rounds == pytest.approx(
        0.2 * max(handful, min_rounds), rel=0.35
    )
    assert len(started) == 2
    assert {**found.config, "learning_rate": 0.2} == started[0]


def test_enough_rounds_are_left_as_they_are() -> None:
    family = FAMILIES["lightgbm"]
    found = find_rounds(family, family.default(), lambda config: [_Scripted(_valley(80))])
    assert (found.config, found.rounds) == (family.default(), 80)


def test_what_the_watch_hears() -> None:
    heard = _Heard()
    boost([_Scripted(_valley(50))], callback=heard, rungs={8: "early", 32: "later"})
    assert [name for name, _ in heard.rungs] == ["early", "later"]
    assert heard.ticks == 50 + PATIENCE + HALF_WIDTH - 2
    heard = _Heard()
    boost([_Scripted(lambda rounds, k=k: k, max_rounds=1) for k in (1.0, 2.0, 6.0)], callback=heard, fold_rung="linear")
    assert heard.rungs == [("linear, 1 of 3 folds", 1.0), ("linear, 2 of 3 folds", 1.5)]


def test_a_small_problem_is_not_given_a_handful_of_rounds() -> None:
    """Numbers with much luck in them, on which a fast learner is at its best after a few rounds."""
    table = examples.matrix(1500)
    label = examples.number(table) + 6 * np.random.default_rng(4).normal(size=1500)
    cutoffs = np.linspace(0, 1500, 1500).astype(np.int64) * 86_400_000_000
    known, end = cutoffs + 86_400_000_000, int(cutoffs[1200])
    history = known_before_rows(cutoffs, known, end)
    windows = time_windows(cutoffs[history], known[history], end)
    folds = time_folds(cutoffs[history], known[history], windows)
    assert len(folds) == 4
    design = examples.design(table)
    config = {**warm_start()[0], "lightgbm.learning_rate": 0.2}
    settled = fit_rounds(config, design, label, folds, metric="mae", threads=1)
    assert settled.recipe.rounds is not None
    assert settled.recipe.rounds >= MIN_ROUNDS
    assert float(settled.recipe.config["learning_rate"]) < 0.2
