"""Racing: the rule by hand, how often it kills a winner, and what a raced study is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from headrace.core.errors import DeclarationError
from headrace.schema import Racing
from headrace.search.study.evaluation import Task, run_trial
from headrace.search.study.racing import Bound, Bounds, racing_bounds
from headrace.search.trial import Trial
from tests.search.objectives import Climb
from tests.search.synthetic import study

#: Of the real curves, in each race.
DRAWN = int(os.environ.get("DRAWN", "24"))


def _trial(number: int, final: float, **rungs: float) -> Trial:
    return Trial(number=number, config={}, status="ok", loss=final, seconds=1.0, info={"rungs": rungs})


def test_the_bound_by_hand() -> None:
    """L = 1, 2, 3, 4 and L_r = 2 L + .5: on a line, so s^2 is var(L_r) / 3 = 20/9; h = 1/4 + 1.5^2 / 5 = .7.

    A rung takes a third of the error.
    """
    trials = [_trial(i, i + 1.0, half=2 * (i + 1.0) + 0.5) for i in range(4)]
    bound = racing_bounds(Racing(error=0.15), trials).by_rung["half"]
    assert bound.stop_above == pytest.approx(2.5 + 2.353363 * np.sqrt(20 / 9) * np.sqrt(1.7), rel=1e-6)
    assert [bound.expected_final_loss(loss) for loss in (2.5, 8.5, 10.5)] == pytest.approx([1, 4, 5])


@pytest.mark.parametrize("seed", range(5))
def test_the_line_is_that_of_scipy(seed: int) -> None:
    from scipy.stats import linregress

    rng = np.random.default_rng(seed)
    final = rng.normal(size=12)
    at_rung = 3 * final + rng.normal(size=12)
    trials = [_trial(i, float(y), half=float(x)) for i, (x, y) in enumerate(zip(at_rung, final, strict=True))]
    bound = racing_bounds(Racing(error=0.15), trials).by_rung["half"]
    there, back = linregress(final, at_rung), linregress(at_rung, final)
    scatter = np.sum((at_rung - there.intercept - there.slope * final) ** 2) + at_rung.var(ddof=1)
    h = 1 / 12 + (final.min() - final.mean()) ** 2 / np.sum((final - final.mean()) ** 2)
    margin = stats.t.ppf(0.95, 11) * np.sqrt(scatter / 11 * (1 + h))
    assert bound.stop_above == pytest.approx(there.intercept + there.slope * final.min() + margin)
    assert bound.expected_final_loss(0.7) == pytest.approx(back.intercept + back.slope * 0.7)


def test_a_rung_that_tells_nothing_stops_what_is_far_from_all() -> None:
    """Worse there and better in the end: the line is level, and a trial is expected to end like the others."""
    trials = [_trial(i, float(i), half=-float(i)) for i in range(6)]
    bounds = racing_bounds(Racing(), trials)
    assert not bounds.should_stop("half", -1.0)
    assert bounds.should_stop("half", 9.0)
    assert bounds.by_rung["half"].expected_final_loss(9.0) == pytest.approx(2.5)
    same = racing_bounds(Racing(), [_trial(i, 1.0, half=2.0) for i in range(6)])
    assert not same.should_stop("half", 2.0)
    assert same.by_rung["half"].expected_final_loss(2.0) == 1.0


def test_nothing_is_stopped_before_enough_is_known() -> None:
    trials = [_trial(i, float(i), half=float(i)) for i in range(3)]
    assert not racing_bounds(Racing(least=4), trials).should_stop("half", 1e9)
    stopped = Trial(number=3, config={}, status="stopped", loss=9.0, seconds=1.0, info={"rungs": {"half": 9.0}})
    assert racing_bounds(Racing(least=4), [*trials, stopped]).by_rung == {}
    assert racing_bounds(Racing(least=4), [*trials, _trial(4, 2.0, half=2.0)]).should_stop("half", 1e9)
    assert not racing_bounds(Racing(least=4), [*trials, _trial(4, 2.0, half=2.0)]).should_stop("another", 1e9)


def test_rivals_decide_what_is_stopped_and_all_trials_what_it_is_expected_to_end_at() -> None:
    """Rivals end at 11 to 14 and their rung tells nothing; the others end at 1 to 4, as their rung says."""
    others = [_trial(i, i + 1.0, half=i + 1.0) for i in range(4)]
    rivals = [_trial(4 + i, i + 11.0, half=12.0) for i in range(4)]
    bound = racing_bounds(Racing(), [*others, *rivals], rivals).by_rung["half"]
    all_of_them, own = (racing_bounds(Racing(), trials).by_rung["half"] for trials in ([*others, *rivals], rivals))
    assert bound.stop_above == own.stop_above > all_of_them.stop_above
    assert bound.expected_final_loss(8.0) == all_of_them.expected_final_loss(8.0) != own.expected_final_loss(8.0)
    few = racing_bounds(Racing(least=3), [*others, *rivals], rivals[:2])
    assert not few.should_stop("half", 1e9)
    assert few.projected_loss({"half": 8.0}, 8.0) == pytest.approx(all_of_them.expected_final_loss(8.0))


def test_a_stopped_trial_has_the_loss_it_was_projected_to_end_at() -> None:
    bounds = Bounds({"round 10": Bound(stop_above=5.0, rung_mean=5.0, final_mean=2.0, slope=0.5)})
    trial = run_trial(Climb(), Task(number=0, config={"x": 1.0, "kind": "plain"}, bounds=bounds))
    assert (trial.status, trial.error) == ("stopped", "stopped by racing at rung 'round 10'")
    assert trial.loss == pytest.approx(2.0 + 0.5 * (trial.info["rungs"]["round 10"] - 5.0))


@pytest.mark.parametrize("slope", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("tails", ["normal", "heavy"])
@pytest.mark.parametrize("error", [0.05, 0.4])
def test_it_kills_a_trial_that_would_have_won_no_more_often_than_stated(error: float, tails: str, slope: float) -> None:
    """Two rungs that tell the end up to noise, the first on its own scale; the new trial ends exactly as good as the
    incumbent.
    """
    rng = np.random.default_rng(4)

    def noise() -> float:
        return float(rng.normal() if tails == "normal" else rng.standard_t(4))

    killed, times = 0, 1500
    for _ in range(times):
        seen = [
            _trial(i, final, early=slope * final + 2 + noise(), late=final + 1 + noise() / 2)
            for i, final in enumerate(rng.normal(size=int(rng.integers(4, 20))))
        ]
        best = min(trial.loss for trial in seen if trial.loss is not None)
        bounds = racing_bounds(Racing(error=error), seen)
        killed += bounds.should_stop("early", slope * best + 2 + noise()) or bounds.should_stop(
            "late", best + 1 + noise() / 2
        )
    allowed = error + 3 * np.sqrt(error * (1 - error) / times)
    assert killed / times < allowed
    assert killed, "a rule that kills nobody has not been tested"


def test_a_hopeless_trial_is_stopped_at_the_first_rung() -> None:
    rng = np.random.default_rng(0)
    seen = [_trial(i, final, early=final + 2 + 0.1 * float(rng.normal())) for i, final in enumerate(rng.normal(size=8))]
    assert racing_bounds(Racing(), seen).should_stop("early", max(trial.loss or 0 for trial in seen) + 4)


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


@pytest.mark.parametrize("wrong", [{"error": 0.0}, {"error": 0.7}, {"least": 2}])
def test_a_rule_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DeclarationError, match="racing"):
        Racing(**wrong)  # type: ignore[arg-type]


def _replayed(order: Sequence[int], curves: Sequence[Any], racing: Racing) -> tuple[list[Trial], float]:
    """Real trials raced in an order: those tried in full, and the CPU seconds of all."""
    whole: list[Trial] = []
    spent = 0.0
    for number in order:
        curve, bounds = curves[number], racing_bounds(racing, whole)
        lost = [cpu for name, (loss, cpu) in curve["rungs"].items() if bounds.should_stop(name, loss)]
        spent += lost[0] if lost else curve["seconds"]
        if not lost:
            rungs = {name: loss for name, (loss, _) in curve["rungs"].items()}
            whole.append(_trial(number, curve["loss"], **rungs))
    return whole, spent


CURVES: dict[str, Any] = json.loads((Path(__file__).parent / "rungs.json").read_text())


@pytest.mark.parametrize("table", sorted(CURVES))
@pytest.mark.parametrize(("error", "least_saving"), [(0.1, 1.2), (0.4, 1.5)])
def test_on_real_curves_winners_live(table: str, error: float, least_saving: float) -> None:
    """Random configurations of LightGBM (benchmarks/racing_curves.py); as docs/search.md tells.

    24 of 40 are drawn in a random order, so that another wins each time, often one that is barely ahead.
    """
    curves = CURVES[table]
    rng = np.random.default_rng(0)
    killed, unraced, raced, lost = 0, 0.0, 0.0, 0.0
    times = int(os.environ.get("RACES", "60"))
    for _ in range(times):
        order = rng.permutation(len(curves))[:DRAWN]
        whole, spent = _replayed(order, curves, Racing(error=error))
        best = min(order, key=lambda number: curves[number]["loss"])
        killed += best not in {trial.number for trial in whole}
        lost += min(trial.loss or 0.0 for trial in whole) - curves[best]["loss"]
        unraced += sum(_alone(curves[number]) for number in order)
        raced += spent
    print(  # shown by pytest -s
        f"{table}, {DRAWN} drawn, error {error:.2f}: winner killed {killed} of {times}, {lost / times:.5f} lost on "
        f"average, CPU / {unraced / raced:.2f}"
    )
    assert killed <= error * times
    assert unraced / raced > least_saving


def _alone(curve: Any) -> float:
    """CPU s without racing: the part of the rows is not tried."""
    _, part = next(iter(curve["rungs"].values()))
    return float(curve["seconds"] - part)
