"""The reference of a champion in Evidently's workspace: there before any window is watched, and drawn once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import to_us
from headrace.models.bundle import LABEL, PREDICTION, Bundle
from headrace.monitor.report.paths import reference_file
from headrace.monitor.report.reference import ensure_reference, ensure_references
from headrace.registry.ledger import Ledger
from headrace.synthesis.language.definitions import RowColumn

END = to_us("2024-03-01")


def rows(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {"amount": rng.normal(size=n), PREDICTION: rng.uniform(size=n), LABEL: rng.integers(0, 2, n) * 1.0}
    return pa.table(columns)


@dataclass(kw_only=True)
class TinyBundle:
    """What the reference of a version is drawn from."""

    problem: str = "shop"
    definitions: tuple[Any, ...] = (RowColumn(column="amount", kind="numeric"),)
    windows: dict[str, Any] = field(default_factory=lambda: {"trained_until_us": END})
    held_out: pa.Table | None = field(default_factory=lambda: rows(80, 1))

    def read_reference(self) -> pa.Table:
        return rows(200, 0)

    def read_held_out(self) -> pa.Table | None:
        return self.held_out


def test_the_reference_is_a_run_of_its_own_drawn_once(tmp_path: Path) -> None:
    bundle: Any = TinyBundle()
    assert ensure_reference(tmp_path, "2", bundle)
    written = reference_file(tmp_path, "shop", "2")
    run = json.loads(written.read_text())
    assert run["name"] == "reference: version 2"
    assert run["timestamp"] == "2024-03-01T00:00:00"
    assert "200 training rows, beside 80 rows of the gate window" in written.read_text()
    assert "amount" in written.read_text()
    before = written.stat().st_mtime_ns
    assert not ensure_reference(tmp_path, "2", bundle)
    assert written.stat().st_mtime_ns == before
    assert reference_file(tmp_path, "shop", "3") != written


def test_a_bundle_without_gate_rows_has_none(tmp_path: Path) -> None:
    bundle: Any = TinyBundle(held_out=None)
    assert not ensure_reference(tmp_path, "2", bundle)
    assert list(tmp_path.iterdir()) == []


def test_the_server_draws_those_of_all_champions_and_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for problem in ("lost", "shop"):
        Ledger(tmp_path, problem).promote("1", None, "first", {}, END)
    Ledger(tmp_path, "untrained").set_challenger(None)
    monkeypatch.setattr("headrace.registry.models.download", lambda *found: tmp_path / found[0])

    def load(folder: Path) -> Any:
        if folder.name == "lost":
            raise FileNotFoundError("bundle.json")
        return TinyBundle()

    monkeypatch.setattr(Bundle, "load", load)
    ensure_references(tmp_path, "sqlite://")
    assert reference_file(tmp_path, "shop", "1").exists()
    assert not reference_file(tmp_path, "lost", "1").exists()
    assert "the reference of lost is not shown" in caplog.text
