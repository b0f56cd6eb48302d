"""The article's example: curves that are prefixes of one fit, a grid that resumes, and shares that are shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import study_example
from benchmarks.study_example import DEFAULT, GRID_ROUNDS, Curve, Grid, Rows, Searched, curve, grid, results, table

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3)).astype(np.float32)
DATA = Rows(X, 10 * X[:, 0] + RNG.normal(size=300), [], np.arange(300) % 5)
CONFIG = {"learning_rate": 0.1, "max_depth": 3}


def test_a_prefix_of_a_long_fit_is_the_short_fit() -> None:
    long, short = curve(CONFIG, [5, 20], DATA), curve(CONFIG, [5], DATA)
    assert long.rmse[0] == pytest.approx(short.rmse[0], rel=1e-12)
    assert long.rmse[1] < long.rmse[0]
    assert long.cpu_s[0] <= long.cpu_s[1]


def test_a_grid_resumes_and_counts_its_cost_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []

    def fit(config: dict[str, float], points: tuple[int, ...]) -> Curve:
        fitted.append(config)
        return Curve(rmse=[1000.0 / n + config["max_depth"] for n in points], cpu_s=[n / 100 for n in points])

    monkeypatch.setattr(study_example, "curve", fit)
    found = grid(tmp_path, [0.1, 0.2], [3])
    assert grid(tmp_path, [0.1, 0.2], [3]) == found
    assert len(fitted) == 2
    assert found.config == {"n_estimators": 1000, "learning_rate": 0.1, "max_depth": 3}
    assert (found.points, found.staged_cpu_s, found.whole_cpu_s) == (2 * len(GRID_ROUNDS), 20.0, 110.0)


def test_the_share_of_the_grid_is_of_the_way_from_the_defaults() -> None:
    whole = Grid(80.0, DEFAULT, 1.0, 10.0, 600)
    found = results(
        Curve(rmse=[100.0], cpu_s=[0.1]), whole, {"tpe": Searched(np.array([[95.0, 85.0]]), np.array([2.0]))}
    )
    value = {row.metric: row.value for row in found}
    assert value["tpe: gain over the defaults"] == pytest.approx(15)
    assert value["tpe: share of the grid's gain"] == pytest.approx(75)
    assert "| tpe | 2 | 85.0 | 15.0 % | 75.0 % | 2.0 |" in table(found, ("default", "tpe", "grid"))


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- study-example -->\nold\n<!-- end study-example -->\nafter\n")
    study_example.write_page("new", page)
    assert page.read_text() == "before\n<!-- study-example -->\nnew\n<!-- end study-example -->\nafter\n"
