"""Racing: the rule by hand, how often it kills a winner, and what a raced study is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.core.errors import DeclarationError
from headrace.search.evaluate import Task, evaluate
from headrace.search.racing import Bound, Bounds, Racing
from headrace.search.trial import Trial
from tests.search.objectives import Climb
from tests.search.synthetic import study


def _trial(number: int, final: float, **rungs: float) -> Trial:
    return Trial(number=number, config={}, status="ok", loss=final, seconds=1.0, info={"rungs": rungs})


def test_the_bound_by_hand() -> None:
    """L = 1, 2, 3, 4, each .5 higher at the rung: s^2 = (3 * 0 + var(L)) / 4 = 5/12, t(.95; 4) = 2.1318."""
    trials = [_trial(i, float(i + 1), half=i + 1.5) for i in range(4)]
    bound = Racing(error=0.05).bounds(trials).of["half"]
    assert bound.gain == pytest.approx(0.5)
    assert bound.stop_above == pytest.approx(1 + 0.5 + 2.13185 * np.sqrt(5 / 12) * np.sqrt(1.25), rel=1e-5)


def test_nothing_is_stopped_before_enough_is_known() -> None:
    trials = [_trial(i, float(i), half=float(i)) for i in range(3)]
    assert not Racing(least=4).bounds(trials).lost("half", 1e9)
    stopped = Trial(number=3, config={}, status="stopped", loss=9.0, seconds=1.0, info={"rungs": {"half": 9.0}})
    assert Racing(least=4).bounds([*trials, stopped]).of == {}
    assert Racing(least=4).bounds([*trials, _trial(4, 2.0, half=2.0)]).lost("half", 1e9)
    assert not Racing(least=4).bounds([*trials, _trial(4, 2.0, half=2.0)]).lost("another", 1e9)


def test_a_stopped_trial_has_the_loss_it_was_projected_to_end_at() -> None:
    bounds = Bounds({"round 10": Bound(stop_above=5.0, gain=3.0)})
    trial = evaluate(Climb(), Task(number=0, config={"x": 1.0, "kind": "plain"}, bounds=bounds))
    assert (trial.status, trial.error) == ("stopped", "lost at rung 'round 10'")
    assert trial.loss == pytest.approx(trial.info["rungs"]["round 10"] - 3.0)


@pytest.mark.parametrize("tails", ["normal", "heavy"])
@pytest.mark.parametrize("error", [0.05, 0.2])
def test_it_kills_a_trial_that_would_have_won_no_more_often_than_stated(error: float, tails: str) -> None:
    """Two rungs whose gap to the end is noise; a new trial that ends exactly as good as the incumbent."""
    rng = np.random.default_rng(4)

    def noise() -> float:
        return float(rng.normal() if tails == "normal" else rng.standard_t(4))

    killed, times = 0, 1500
    for _ in range(times):
        seen = [
            _trial(i, final, early=final + 2 + noise(), late=final + 1 + noise() / 2)
            for i, final in enumerate(rng.normal(size=int(rng.integers(4, 20))))
        ]
        best = min(trial.loss for trial in seen if trial.loss is not None)
        bounds = Racing(error=error).bounds(seen)
        killed += bounds.lost("early", best + 2 + noise()) or bounds.lost("late", best + 1 + noise() / 2)
    allowed = error + 3 * np.sqrt(error * (1 - error) / times)
    assert killed / times < allowed
    assert killed, "a rule that kills nobody has not been tested"


def test_a_hopeless_trial_is_stopped_at_the_first_rung() -> None:
    rng = np.random.default_rng(0)
    seen = [_trial(i, final, early=final + 2 + 0.1 * float(rng.normal())) for i, final in enumerate(rng.normal(size=8))]
    assert Racing().bounds(seen).lost("early", max(trial.loss or 0 for trial in seen) + 4)


def test_a_raced_study_ends_with_the_incumbent_of_one_that_is_not(tmp_path: Path) -> None:
    plain = study(tmp_path / "a", Climb(), trials=30, workers=1, searcher="random")
    raced = study(tmp_path / "b", Climb(), trials=30, workers=1, searcher="random", racing=Racing())
    assert raced.best.config == plain.best.config
    stopped = [trial for trial in raced.trials if trial.status == "stopped"]
    assert len(stopped) > 5
    assert raced.best.status == "ok"


def test_a_raced_study_resumed_at_any_line_ends_the_same(tmp_path: Path) -> None:
    whole = study(tmp_path / "a", Climb(), trials=12, workers=1, racing=Racing())
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    for kept in (1, 5, 8, 11):
        (tmp_path / "b").write_bytes(b"".join(lines[:kept]))
        again = study(tmp_path / "b", Climb(), trials=12, workers=1, racing=Racing())
        assert [(t.number, t.config, t.status, t.loss, t.info.get("rungs")) for t in again.trials] == [
            (t.number, t.config, t.status, t.loss, t.info.get("rungs")) for t in whole.trials
        ]


@pytest.mark.parametrize("wrong", [{"error": 0.0}, {"error": 0.7}, {"least": 1}])
def test_a_rule_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DeclarationError, match="racing"):
        Racing(**wrong)  # type: ignore[arg-type]


def _replayed(order: Sequence[int], curves: Sequence[Any], racing: Racing) -> tuple[list[Trial], float]:
    """Real trials raced in an order: those tried in full, and the CPU seconds of all."""
    whole: list[Trial] = []
    spent = 0.0
    for number in order:
        curve, bounds = curves[number], racing.bounds(whole)
        lost = [cpu for name, (loss, cpu) in curve["rungs"].items() if bounds.lost(name, loss)]
        spent += lost[0] if lost else curve["seconds"] + curve["rungs"]["quarter"][1]
        if not lost:
            rungs = {name: loss for name, (loss, _) in curve["rungs"].items()}
            whole.append(_trial(number, curve["loss"], **rungs))
    return whole, spent


@pytest.mark.parametrize("error", [0.05, 0.2, 0.5 - 1e-9])
@pytest.mark.parametrize(("drawn", "least_saving"), [(40, 1.25), (24, 1.15)])
def test_on_real_curves_winners_live(error: float, drawn: int, least_saving: float) -> None:
    """40 random configurations on the flights (AUC, 78,548 rows); as docs/search.md tells.

    All 40 in random orders have one winner between them, and one that is well ahead. So 24 are drawn as well: another
    winner each time, often one that is barely ahead.
    """
    curves = json.loads((Path(__file__).parent / "flights_rungs.json").read_text())
    rng = np.random.default_rng(0)
    killed, unraced, raced, regret = 0, 0.0, 0.0, 0.0
    times = int(os.environ.get("RACES", "60"))
    for _ in range(times):
        order = rng.permutation(len(curves))[:drawn]
        whole, spent = _replayed(order, curves, Racing(error=error))
        best = min(order, key=lambda number: curves[number]["loss"])
        killed += best not in {trial.number for trial in whole}
        regret += min(trial.loss or 0.0 for trial in whole) - curves[best]["loss"]
        unraced += sum(curves[number]["seconds"] for number in order)
        raced += spent
    print(  # shown by pytest -s
        f"{drawn} drawn, error {error:.2f}: winner killed {killed} of {times}, {regret / times:.5f} lost on average, "
        f"CPU / {unraced / raced:.2f}"
    )
    assert killed <= error * times
    assert unraced / raced > least_saving
