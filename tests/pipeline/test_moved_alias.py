"""An alias that was moved in MLflow, or went back with an older copy of its database, is said by every run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.pipeline.stages.promote import PROMOTE, PromoteOutput
from headrace.registry import aliases, recovery
from headrace.registry.aliases import Proposal
from headrace.registry.ledger import Ledger


def test_a_cached_promotion_says_what_mlflow_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Ledger(tmp_path, "p").promote("2", None, "first", {}, at_us=1)
    moved = Proposal(alias="champion", expected="2", actual="1")
    monkeypatch.setattr(aliases, "is_mirrored", lambda *_: False)
    monkeypatch.setattr(aliases, "mirror", lambda *_: (moved,))
    monkeypatch.setattr(recovery, "recover", lambda *_: None)
    context: Any = SimpleNamespace(root=tmp_path, problem=SimpleNamespace(name="p"), tracking_uri="", token=None)
    assert PROMOTE.effects_exist is not None
    assert PROMOTE.effects_exist(context, PromoteOutput(version="2", promoted=True, reason="first"))
    assert "somebody moved @champion to version 1; the ledger says version 2" in caplog.text
