"""`headrace status` of a home whose online store does not answer: the home's own facts are shown all the same."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from unittest.mock import Mock

import pytest

from headrace.core.errors import UnavailableError
from headrace.core.replicas import write_replicas
from tests.cli.command import headrace
from tests.tiny_problem import write_tiny_problem


def test_an_online_store_that_does_not_answer_is_the_fault_and_the_rest_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, home = write_tiny_problem(tmp_path / "shop"), tmp_path / "home"
    write_replicas(home / "lake" / "shop" / "clock.json", {"now": "2024-03-01T00:00:00Z", "now_us": 1709251200000000})
    write_replicas(home / "runs" / "shop" / "last_run.json", {"seconds": 2.5, "stages": []})
    silent = UnavailableError("does not answer: connection refused", where="redis://127.0.0.1:1/0", fix="start it")
    monkeypatch.setattr(import_module("headrace.cli.status"), "views_ahead", Mock(side_effect=silent))
    status = json.loads(headrace("status", str(path), "--json", home=home).out)
    assert status["fault"].startswith("online store: redis://127.0.0.1:1/0: does not answer")
    assert status["clock"].startswith("2024-03-01")
    assert status["last_run"]["seconds"] == 2.5
    shown = headrace("status", str(path), home=home)
    assert shown.code == 0
    assert "does not answer" in shown.out
    assert "2.5 s" in shown.out
