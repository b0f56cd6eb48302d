"""The matrix of the portfolio: a cell's stored predictions, a run that goes on, the block that is collected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.portfolio import build
from benchmarks.portfolio.cells import Cell, Evaluator
from benchmarks.portfolio.collect import largest_block
from benchmarks.portfolio.pool import FAMILIES, pool, random_configs, written
from benchmarks.portfolio.tables import Source, divided
from headrace.automl.task.metrics import METRICS
from headrace.models.space import Config

LINEAR: Config = {"family": "linear", "linear.strength": 1.0, "linear.scale": "standard"}


class Generated(Source):
    """A table that is generated."""

    def read(self) -> pd.DataFrame:
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=90), rng.choice(["x", "y"], 90)
        y = 1_000 * (a + (b == "x") + 0.3 * rng.normal(size=90))
        return pd.DataFrame({"a": a, "b": b, "y": y if self.kind == "number" else np.where(y > 400, "yes", "no")})


def source(kind: Any = "number") -> Source:
    return Generated(package="none", item="generated", target="y", kind=kind, rows=60)


@pytest.mark.parametrize("kind", ["number", "classes"])
def test_stored_predictions_give_the_stored_loss(kind: str, tmp_path: Path) -> None:
    data = divided(source(kind))
    assert (len(data.search.label), len(data.test_label)) == (60, 30)
    path = tmp_path / "cell.npz"
    Evaluator(data=data).evaluate(LINEAR).write(path)
    cell, search = Cell.read(path), data.search
    assert cell.error == ""
    assert cell.predictions.dtype == np.float16
    predictions = cell.predictions.astype(np.float64)
    if kind == "number":
        predictions = predictions * search.label.std() + search.label.mean()
    loss = METRICS[search.task.metric].loss(search.label[search.valid_rows], predictions, None, search.task)
    assert loss == pytest.approx(cell.loss, rel=1e-2)
    assert np.isfinite(cell.test_loss)


def test_a_failed_configuration_is_a_cell_with_its_error(tmp_path: Path) -> None:
    cell = Evaluator(data=divided(source())).evaluate({**LINEAR, "linear.strength": "much"})
    cell.write(tmp_path / "cell.npz")
    assert "ValueError" in Cell.read(tmp_path / "cell.npz").error
    assert np.isnan(cell.loss)


def test_a_run_that_was_cut_off_evaluates_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "STATE", tmp_path)
    monkeypatch.setattr(build, "SMALL", (source(),))
    monkeypatch.setattr(build, "LARGE", ())
    configs = [{**LINEAR, "linear.strength": strength} for strength in (0.1, 1.0, 10.0)]
    evaluated: list[Config] = []
    resumed: list[bool] = []

    def cut_off(self: Evaluator, config: Config) -> Cell:
        if len(evaluated) == 2 and not resumed:
            raise KeyboardInterrupt
        evaluated.append(config)
        return genuine(self, config)

    genuine = Evaluator.evaluate
    monkeypatch.setattr(Evaluator, "evaluate", cut_off)
    with pytest.raises(KeyboardInterrupt):
        build.build((source(),), configs)
    resumed.append(True)
    build.build((source(),), configs)
    assert evaluated == configs


def test_other_rows_have_a_folder_of_their_own() -> None:
    folders = {build.folder_of(one, divided(one)) for one in (source(), source("classes"))}
    assert len(folders) == 2
    assert build.folder_of(source(), divided(source())) in folders


def obvious(finished: Any) -> int:
    """The largest number of cells, by trying every width."""
    best = 0
    for width in range(finished.shape[1] + 1):
        rows = [row for row in finished if row[:width].all()]
        best = max(best, width * len(rows))
    return best


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_the_largest_block_equals_its_twin(seed: int, rows: int, columns: int) -> None:
    finished = np.random.default_rng(seed).random((rows, columns)) < 0.8
    width, chosen = largest_block(finished)
    assert finished[chosen][:, :width].all()
    assert width * len(chosen) == obvious(finished)


def test_a_longer_pool_begins_with_a_shorter_one() -> None:
    assert random_configs(3)[: 2 * len(FAMILIES)] == random_configs(2)
    families = [config["family"] for config in random_configs(2)]
    assert {families.count(name) for name in families} == {2}
    assert pool() == [*written(), *random_configs()]
