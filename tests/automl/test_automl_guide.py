"""The guide's Python block runs, and the command writes what the guide lists."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headrace.automl.estimators import HeadraceClassifier
from headrace.cli.automl import Request
from headrace.core.errors import ConflictError, DeclarationError, NotFoundError
from tests.automl.learning import QUICK, table
from tests.docs.blocks import blocks

pytestmark = pytest.mark.slow

#: The module; the function of the command has its name in `headrace.cli`.
command = importlib.import_module("headrace.cli.automl")


def test_the_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    sources = [block.text for block in blocks("docs/automl.md") if "HeadraceRegressor(" in block.text]
    assert len(sources) == 1
    exec(compile(sources[0], "docs/automl.md", "exec"), {"__name__": "guide"})
    printed = capsys.readouterr().out
    assert "ensemble" in printed
    assert "validation: random" in printed


def request(folder: Path, **changes: Any) -> Request:
    given: dict[str, Any] = {
        "train": folder / "train.csv", "target": "y", "out": folder / "out", "test": folder / "test.csv",
        "task": "auto", "minutes": 5.0, "explain": True, "parameters": {},
    }  # fmt: skip
    return Request(**{**given, **changes})


def test_the_command_writes_what_the_guide_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(seconds: float, **parameters: Any) -> HeadraceClassifier:
        return HeadraceClassifier(**{**QUICK, "trials": 2, "families": ("lightgbm", "linear"), **parameters})

    monkeypatch.setattr(command, "HeadraceClassifier", quick)
    X, y = table(80)
    X.assign(y=pd.Series(y > 0).map({True: "yes", False: "no"})).to_csv(tmp_path / "train.csv", index=False)
    X.to_csv(tmp_path / "test.csv", index=False)
    command.run_automl(request(tmp_path))
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["leaderboard.csv", "model", "predictions.csv", "report.html"]
    predicted = pd.read_csv(out / "predictions.csv")
    assert list(predicted) == ["y", "probability_no", "probability_yes"]
    assert len(predicted) == 80
    page = (out / "report.html").read_text()
    assert page.count("data:image/png") >= 6
    for text in ("Leaderboard", "Model card", "beeswarm", "waterfall", "dependence", "Weights"):
        assert text in page
    with pytest.raises(ConflictError, match="not empty"):
        command.run_automl(request(tmp_path))


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,a,y\n1,2,3\n")
    with pytest.raises(NotFoundError, match="no such file"):
        command.run_automl(request(tmp_path, train=tmp_path / "none.csv", test=None))
    with pytest.raises(Exception, match="same name"):
        command.run_automl(request(tmp_path, test=None))
    (tmp_path / "train.csv").write_text("a,y\n1,3\n")
    with pytest.raises(NotFoundError, match="no column 'z'"):
        command.run_automl(request(tmp_path, test=None, target="z"))
    with pytest.raises(DeclarationError, match="no list of numbers"):
        command.levels("0.1;0.9")
