"""The report of a study: what it holds, that it needs no network, and that names cannot break it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headrace.evaluate.metrics import METRICS
from headrace.search.report.charts import cpu_time, parallel, rung_survival, slices
from headrace.search.report.page import write_report
from headrace.search.space import Categorical, Choice, Float, Integer, Space, sample
from headrace.search.trial import Trial

SPACE = Space(
    {
        "rate": Float(1e-3, 1, log=True),
        "bins": Categorical((63, 127, "</script><b>")),
        "kind": Choice({"plain": Space({}), "deep": Space({"depth": Integer(1, 9)})}),
    }
)
AUC = METRICS["auc"]


def study(n: int, failed: int = 0) -> list[Trial]:
    """Every third trial is stopped at its second rung; the first `failed` ones failed."""
    rng = np.random.default_rng(0)
    trials = []
    for number in range(n):
        config = sample(SPACE, rng)
        loss = -0.8 + 0.02 * abs(float(np.log(float(config["rate"])))) + 0.001 * rng.normal()  # type: ignore[arg-type]
        if number < failed:
            trials.append(
                Trial(number=number, config=config, status="failed", loss=None, seconds=0.5, error="Boom\n<i>bad</i>")
            )
            continue
        rungs = {"rows 1/4": loss + 0.02, "rounds 10": loss + 0.01, "rounds 40": loss + 0.004}
        stopped = number % 3 == 2
        if stopped:
            rungs.pop("rounds 40")
        status = "stopped" if stopped else "ok"
        trials.append(
            Trial(number=number, config=config, status=status, loss=loss, seconds=2.0, info={"rungs": rungs})  # type: ignore[arg-type]
        )
    return trials


def page(trials: Sequence[Trial], folder: Path, shares: dict[str, float] | None = None) -> str:
    path = write_report(
        SPACE, trials, folder / "report.html", metric=AUC, title="study <of> flights",
        importances={"rate": 0.9, "bins": 0.1} if shares is None else shares,
    )  # fmt: skip
    return path.read_text()


def test_a_page_holds_every_plot_and_plotly_once(tmp_path: Path) -> None:
    text = page(study(30, failed=2), tmp_path)
    assert text.count("Plotly.newPlot(") >= 6
    assert "Nothing to show" not in text
    assert text.count("plotly.js v") == 1
    assert len(text) < 6_000_000
    assert "30 trials, 18 complete, 10 stopped, 2 failed, 57.0 s in trials" in text


def test_it_loads_nothing_from_elsewhere_and_names_break_nothing(tmp_path: Path) -> None:
    text = page(study(12, failed=1), tmp_path)
    assert "<script src=" not in text
    assert "<link" not in text
    assert "study &lt;of&gt; flights" in text
    assert "&lt;i&gt;bad&lt;/i&gt;" in text
    assert "<i>bad</i>" not in text
    assert "</script><b>" not in text


def test_the_same_trials_give_the_same_bytes(tmp_path: Path) -> None:
    assert page(study(9), tmp_path / "a") == page(study(9), tmp_path / "b")


@pytest.mark.parametrize(("n", "failed"), [(1, 0), (1, 1), (3, 3)])
def test_a_study_that_came_to_little_has_a_page(n: int, failed: int, tmp_path: Path) -> None:
    assert "Nothing to show in this study" in page(study(n, failed), tmp_path, {})


def test_survival_counts_where_trials_ended() -> None:
    assert rung_survival(study(30)) == {"rows 1/4": (30, 0), "rounds 10": (20, 10), "rounds 40": (20, 0)}
    assert rung_survival(study(3, failed=3)) == {}


def test_the_incumbent_is_a_whole_trial_and_time_is_what_trials_took() -> None:
    trials = study(30, failed=2)
    figure = cpu_time(trials, AUC)
    assert figure is not None
    points, line = figure.data
    whole = [-trial.loss for trial in trials if trial.status == "ok" and trial.loss is not None]
    assert list(points.y) == whole, "without them a line that never moved has no scale"
    assert line.x[-1] == 57.0
    assert line.y[-1] == max(whole)
    assert list(line.y) == sorted(line.y)
    told = cpu_time([replace(trial, cpu_seconds=0.25) for trial in trials], AUC)
    assert told is not None
    assert told.data[1].x[-1] == 7.5, "CPU seconds, where they are known"


def test_an_inactive_parameter_is_drawn_apart() -> None:
    trials = study(20)
    figure = parallel(SPACE, trials, AUC)
    assert figure is not None
    depth = next(one for one in figure.data[0].dimensions if one.label == "deep.depth")
    inactive = [trial.config["kind"] == "plain" for trial in trials]
    assert [value < 1 for value in depth.values] == inactive
    assert depth.ticktext[0] == "inactive"


def test_a_slice_has_only_the_trials_in_which_its_parameter_is_active() -> None:
    trials = study(20)
    figure = slices(SPACE, trials, AUC)
    assert figure is not None
    drawn = sum(len(trace.x) for trace in figure.data[6:8])
    assert drawn == sum(trial.config["kind"] == "deep" for trial in trials)
