"""The report: names and values that are formulas to Matplotlib, and a picture that cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headrace.automl import HeadraceClassifier
from headrace.automl.engine import Outcome
from headrace.automl.report import page, pictures
from headrace.automl.report.explanation import Explained
from tests.automl.learning import LINEAR, table

FORMULA = r"$\frac$ a$b^$"


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    X, y = table(60)
    found: Outcome = HeadraceClassifier(**LINEAR).fit(X[["a"]], y > 0).outcome_
    return found


def explained(*, numbers: bool) -> Explained:
    values = np.linspace(0, 1, 6) if numbers else np.array([FORMULA, "$_$", "x"] * 2, dtype=object)
    return Explained(
        values=np.linspace(-1, 1, 12).reshape(6, 2), base=0.0, unit=f"log-odds of {FORMULA!r}", size=np.array([2.0, 1]),
        rows=pd.DataFrame({f"first {FORMULA}": values, "$_$": np.arange(6.0)}),
    )  # fmt: skip


@pytest.mark.parametrize("numbers", [True, False])
def test_dollar_signs_in_names_and_values_are_drawn(numbers: bool) -> None:
    pytest.importorskip("shap")
    for draw in pictures.shap_pictures(explained(numbers=numbers)).values():
        assert draw().startswith(b"\x89PNG")


def fails(*arguments: Any, **named: Any) -> bytes:
    raise ValueError("no <font>")


def test_a_picture_that_cannot_be_drawn_is_named_and_the_others_are_written(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "course", fails)
    monkeypatch.setattr(page, "explain_model", lambda *arguments, **named: explained(numbers=True))
    monkeypatch.setattr(page, "shap_pictures", lambda of: {"bar": fails, "waterfall": lambda: b"drawn"})
    text = page.write_page(outcome, table(60)[0], tmp_path / "report.html", title="t", notes=()).read_text()
    assert "picture course missing: no &lt;font&gt;" in text
    assert "picture bar missing: no &lt;font&gt;" in text
    assert text.count("<img") == 2
    assert [path.name for path in page.write_plots(outcome, tmp_path)] == ["weights.png"]


def test_shapley_values_that_cannot_be_computed_are_named(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("shap")
    monkeypatch.setattr(page, "explain_model", fails)
    text = page.write_page(outcome, table(60)[0], tmp_path / "report.html", title="t", notes=()).read_text()
    assert "Shapley values missing: no &lt;font&gt;" in text
