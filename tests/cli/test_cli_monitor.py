"""`headrace monitor` and `headrace retrain`, as a user types them, where there is nothing to look at yet."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import headrace
from tests.tiny_problem import write_tiny_problem


def test_before_the_first_run_there_is_nothing_to_watch(tmp_path: Path) -> None:
    done = headrace("monitor", str(write_tiny_problem(tmp_path / "problem")), home=tmp_path / "home")
    assert (done.code, done.errors) == (0, [])
    assert "shop: nothing: there is no champion to watch yet" in done.out


def test_before_the_first_run_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    done = headrace("retrain", str(write_tiny_problem(tmp_path / "problem")), home=tmp_path / "home")
    assert done.code == 1
    assert done.errors == ["headrace: shop: nothing was loaded yet. run `headrace run` first."]


def test_a_decision_that_never_was_is_one_line(tmp_path: Path) -> None:
    problem = str(write_tiny_problem(tmp_path / "problem"))
    done = headrace("retrain", problem, "--decision", "nowhere", home=tmp_path / "home")
    assert done.code == 1
    assert "no decision 'nowhere'" in done.errors[0]
