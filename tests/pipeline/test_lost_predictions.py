"""A prediction log that was lost or is an older one is noticed, and what it held is scored again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.core.replicas import write_replicas
from headrace.pipeline.production.scoring import _scored_until
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.registry.ledger_tables import Record

CHAMPION = Record(sequence=1, action="promote", version="1", previous=None, reason="", at_us=10)


def scored(number: int) -> Prediction:
    return Prediction(
        id=str(number), cutoff_us=1, made_us=1, model_version="1", join_keys={}, probability=0.5, source="score"
    )


@pytest.mark.parametrize("left", [0, 1])
def test_scoring_begins_again_where_training_ended(tmp_path: Path, left: int, caplog: pytest.LogCaptureFixture) -> None:
    context: Any = SimpleNamespace(root=tmp_path, problem=SimpleNamespace(name="p"))
    assert _scored_until(context, CHAMPION) == 10
    log = PredictionLog(tmp_path, "p")
    log.append([scored(0), scored(1)])
    write_replicas(tmp_path / "predictions" / "p.scored.json", {"until_us": 50, "rows": 2})
    assert _scored_until(context, CHAMPION) == 50
    assert not caplog.text
    log.close()
    log.path.unlink()
    log.append([scored(number) for number in range(left)])
    assert _scored_until(context, CHAMPION) == 10
    assert f"holds {left} of 2 scored predictions" in caplog.text
    log.close()
