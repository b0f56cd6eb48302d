"""The import of PyTorch, which cannot be interrupted, is over before AutoML divides its time budget."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from headrace.automl import HeadraceRegressor, engine, table_estimator
from headrace.automl.sizing import Times


class _StopError(Exception):
    """The search would begin."""


def test_the_time_of_imports_is_taken_from_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only the import moves, by 30 of 100 s."""
    now, seen, loaded = [1_000.0], [], []

    def load(names: tuple[str, ...]) -> None:
        loaded.extend(names)
        now[0] += 30

    def search(*arguments: object, **_: object) -> None:
        seen.extend(value for value in arguments if isinstance(value, Times))
        raise _StopError

    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(engine, "time", clock)
    monkeypatch.setattr(table_estimator, "time", clock)
    monkeypatch.setattr(engine, "load_packages", load)
    monkeypatch.setattr(engine, "search_data", search)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    with pytest.raises(_StopError):
        HeadraceRegressor(seconds=100, families=["linear"]).fit(frame, frame["a"])
    assert loaded == ["linear"]
    assert 50 < seen[0].search <= 70
