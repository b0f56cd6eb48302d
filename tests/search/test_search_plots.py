"""Pictures of a study, and the numbers behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.search.report.plots import importances, plot_history, plot_importances
from headrace.search.space import Choice, Float, Integer, Space, sample
from headrace.search.trial import Trial

SPACE = Space(
    {
        "matters": Float(1e-3, 1, log=True),
        "idle": Integer(1, 50),
        "kind": Choice({"plain": Space({}), "deep": Space({"depth": Integer(1, 9)})}),
    }
)


def _trials(n: int, failed: int = 0) -> list[Trial]:
    rng = np.random.default_rng(0)
    trials = []
    for number in range(n):
        config = sample(SPACE, rng)
        loss = None if number < failed else abs(float(np.log(float(config["matters"]))))  # type: ignore[arg-type]
        status = "ok" if loss is not None else "failed"
        trials.append(Trial(number=number, config=config, status=status, loss=loss, seconds=0.0))  # type: ignore[arg-type]
    return trials


def test_the_parameter_that_matters_is_found() -> None:
    shares = importances(SPACE, _trials(40, failed=3))
    assert set(shares) == {"matters", "idle", "kind", "deep.depth"}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["matters"] > 0.8
    assert next(iter(shares)) == "matters"


@pytest.mark.parametrize(("n", "failed"), [(20, 2), (3, 0), (3, 3), (1, 0)])
def test_pictures_are_made_whatever_happened(n: int, failed: int, tmp_path: Path) -> None:
    history = plot_history(_trials(n, failed), tmp_path / "h.png", metric="auc", greater_is_better=True)
    shares = plot_importances(SPACE, _trials(n, failed), tmp_path / "i.png")
    assert (shares == {}) == (n - failed < 5)
    for path in (history, tmp_path / "i.png"):
        assert path.read_bytes()[:4] == b"\x89PNG"
