"""`headrace.minimize` does what a plain loop does, resumes, and refuses what it cannot use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.core.errors import ConflictError, DeclarationError, HeadraceError
from headrace.library.objective import FunctionObjective
from headrace.library.space import read_space
from headrace.search.searchers import SEARCHERS
from headrace.search.space import Categorical, Choice, Float, Integer, Space, config_errors
from headrace.search.trial import Trial

SPACE: dict[str, Any] = {
    "x": (-3.0, 3.0),
    "depth": (1, 8),
    "rate": (1e-4, 1.0, "log"),
    "kind": {"tree": {"leaves": (2, 64, "log")}, "linear": {}},
    "colour": ["red", "blue"],
}


def bowl(config: Mapping[str, Any]) -> float:
    leaves = config.get("tree.leaves", 40)
    return float((config["x"] - 1) ** 2 + 0.1 * config["depth"] + abs(np.log10(config["rate"]) + 2) + leaves / 64)


def plain_loop(space: Space, objective: Any, searcher: str, trials: int, seed: int) -> list[Trial]:
    """The obvious twin: ask for one configuration, evaluate it, repeat."""
    asked, history = SEARCHERS[searcher](space), list[Trial]()
    for number in range(trials):
        (config,) = asked.ask(history, 1, np.random.default_rng([seed, number]))
        history.append(Trial(number=number, config=config, status="ok", loss=objective(config), seconds=0.0))
    return history


@settings(max_examples=6, deadline=None)
@given(searcher=st.sampled_from(["random", "tpe", "hyperopt", "gp", "smac", "auto"]), seed=st.integers(0, 99))
def test_it_is_a_plain_loop(searcher: str, seed: int) -> None:
    found = headrace.minimize(bowl, SPACE, trials=10, searcher=searcher, seed=seed)
    expected = plain_loop(read_space(SPACE), bowl, searcher, 10, seed)
    assert [trial.config for trial in found.study.trials] == [trial.config for trial in expected]
    assert list(found.trials["loss"]) == [trial.loss for trial in expected]
    best = min(expected, key=lambda trial: (trial.loss, trial.number))
    assert (found.best, found.loss, found.ended) == (best.config, best.loss, "trials")


def test_it_finds_what_hyperopts_fmin_finds() -> None:
    from hyperopt import fmin, hp, tpe

    def curve(config: Mapping[str, Any]) -> float:
        return float((config["x"] - 1) ** 2)

    best = fmin(
        curve, {"x": hp.uniform("x", -3, 3)}, algo=tpe.suggest, max_evals=30, rstate=np.random.default_rng(0),
        show_progressbar=False, verbose=False,
    )  # fmt: skip
    found = headrace.minimize(curve, {"x": (-3.0, 3.0)}, trials=30)
    assert abs(best["x"] - 1) < 0.3
    assert abs(found.best["x"] - 1) < 0.1  # type: ignore[operator]


def test_trials_are_a_frame() -> None:
    def objective(config: Mapping[str, Any]) -> dict[str, Any]:
        if config["kind"] == "linear":
            raise ValueError("no line fits")
        return {"loss": config["x"] ** 2, "rounds": 7}

    found = headrace.minimize(objective, SPACE, trials=30, searcher="random", start=[{
        "x": 0.5, "depth": 1, "rate": 0.1, "kind": "tree", "tree.leaves": 8, "colour": "red",
    }])  # fmt: skip
    frame = found.trials
    assert list(frame)[:10] == [
        *("status", "loss", "seconds", "error", "x", "depth", "rate", "kind", "tree.leaves", "colour")
    ]
    assert frame.index.tolist() == list(range(30))
    linear = frame["kind"] == "linear"
    assert set(frame.loc[linear, "status"]) == {"failed"}
    assert frame.loc[linear, "error"].str.contains("no line fits").all()
    assert frame.loc[linear, ["loss", "tree.leaves"]].isna().all(axis=None)
    assert (frame.loc[~linear, "rounds"] == 7).all()
    assert frame.loc[0, "x"] == 0.5
    assert max(found.importance(), key=found.importance().get) == "x"  # type: ignore[arg-type]


def test_a_journal_continues(tmp_path: Path) -> None:
    calls: list[float] = []

    def counted(config: Mapping[str, Any]) -> float:
        calls.append(config["x"])
        return bowl(config)

    journal = tmp_path / "search.jsonl"
    headrace.minimize(counted, SPACE, trials=5, journal=journal)
    first = list(calls)
    found = headrace.minimize(counted, SPACE, trials=9, journal=journal)
    assert calls[:5] == first
    assert len(calls) == 9
    whole = headrace.minimize(bowl, SPACE, trials=9)
    assert [trial.config for trial in found.study.trials] == [trial.config for trial in whole.study.trials]


def test_the_journal_of_another_objective_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "search.jsonl"
    headrace.minimize(lambda config: config["x"], {"x": (0.0, 1.0)}, trials=2, journal=journal)
    headrace.minimize(lambda config: config["x"], {"x": (0.0, 1.0)}, trials=2, journal=journal)
    with pytest.raises(ConflictError, match="another study"):
        headrace.minimize(lambda config: config["x"] + 1, {"x": (0.0, 1.0)}, trials=2, journal=journal)


def test_what_an_objective_closes_over_is_part_of_it() -> None:
    def scaled(factor: float) -> FunctionObjective:
        return FunctionObjective(lambda config: factor * config["x"])

    assert scaled(2).fingerprint() == scaled(2).fingerprint() != scaled(3).fingerprint()


SCRIPT = """
import headrace
found = headrace.minimize(lambda config: (config["x"] - 1) ** 2, {"x": (-3.0, 3.0)}, trials=6, workers=2)
print(len(found.trials), found.ended)
"""


def test_a_script_without_a_main_guard_searches_in_parallel(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("6 trials\n", "")


def test_a_hanging_trial_fails(tmp_path: Path) -> None:
    def sometimes(config: Mapping[str, Any]) -> float:
        while config["x"] > 1:
            pass
        return float(config["x"])

    start = [{"x": 1.5}, {"x": 0.5}]
    found = headrace.minimize(sometimes, {"x": (0.0, 2.0)}, trials=2, trial_seconds=0.5, start=start)
    assert list(found.trials["status"]) == ["failed", "ok"]
    assert "longer than 0.5 s" in found.trials.loc[0, "error"]


def test_spaces_as_people_write_them() -> None:
    space = read_space(SPACE)
    assert space == Space(
        {
            "x": Float(-3.0, 3.0),
            "depth": Integer(1, 8),
            "rate": Float(1e-4, 1.0, log=True),
            "kind": Choice({"tree": Space({"leaves": Integer(2, 64, log=True)}), "linear": Space({})}),
            "colour": Categorical(("red", "blue")),
        }
    )
    assert read_space({"x": headrace.Float(0.0, 1.0)}) == Space({"x": Float(0.0, 1.0)})
    assert read_space(space) is space
    assert not config_errors(space, {"x": 0.0, "depth": 2, "rate": 0.1, "kind": "linear", "colour": "red"})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no mapping": ({"space": [1, 2]}, r"space: \[1, 2\] is no space"),
    "one number": ({"space": {"x": 3}}, r"space\['x'\]: 3 is no parameter"),
    "half a range": ({"space": {"x": (1,)}}, r"space\['x'\]: \(1,\) is no range"),
    "another scale": ({"space": {"x": (1, 2, "sqrt")}}, "is no range"),
    "turned round": ({"space": {"x": (2.0, 1.0)}}, r"space\['x'\]: the lower bound 2.0 is not below"),
    "log of zero": ({"space": {"x": (0, 5, "log")}}, "cannot start at 0"),
    "no option": ({"space": {"kind": {"a": {"y": []}}}}, r"space\['kind'\]\['a'\]\['y'\]: no options"),
    "empty": ({"space": {}}, "the space is empty"),
    "no budget": ({"trials": None}, "a study without a budget never ends"),
    "no trial": ({"trials": 0}, "positive budget, not 0 trials"),
    "no searcher": ({"searcher": "gird"}, "no searcher 'gird'. found: random"),
    "no worker": ({"workers": 0}, "at least one worker"),
    "start outside": ({"start": [{"x": 9.0}]}, r"start\[0\]: 'x'=9.0|start\[0\]: x=9.0 is outside"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str) -> None:
    given, message = WRONG[case]
    options: dict[str, Any] = {"space": {"x": (0.0, 1.0)}, "trials": 3, **given}
    with pytest.raises(DeclarationError, match=message):
        headrace.minimize(lambda config: 0.0, options.pop("space"), **options)


@pytest.mark.parametrize(
    ("returned", "message"),
    [(None, "returned None, which is no loss"), ({"auc": 1}, "returned no loss"), (float("nan"), "the loss is nan")],
)
def test_an_objective_without_a_loss(returned: Any, message: str) -> None:
    with pytest.raises(HeadraceError, match=f"all 2 trials failed.*{message}"):
        headrace.minimize(lambda config: returned, {"x": (0.0, 1.0)}, trials=2)
