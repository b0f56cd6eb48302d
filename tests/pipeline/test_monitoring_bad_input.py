"""What may come in that nothing can be measured on: a clear outcome, through evidence, decision, alert and page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.errors import NotFoundError
from headrace.models.bundle import Bundle
from headrace.monitor.outbox.message import decision_alert
from headrace.monitor.report import drawing
from headrace.pipeline.monitoring import current_window
from headrace.pipeline.monitoring.monitor_window import draw
from headrace.prediction_log.log import PredictionLog
from headrace.synthesis.spine.build import build_spine
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, look


class Bad(NamedTuple):
    """spoil: makes a shop's week bad. kind: of the decision. told: in its reason or notes. broken: a column that is."""

    spoil: Callable[[Shop, pytest.MonkeyPatch], None]
    kind: str
    told: str
    broken: str = ""


def _logged(change: str) -> Callable[[Shop, pytest.MonkeyPatch], None]:
    def spoil(shop: Shop, _: pytest.MonkeyPatch) -> None:
        database = sqlite3.connect(PredictionLog(shop.home, "shop").path)
        database.execute(change)
        database.commit()
        database.close()

    return spoil


def _features(change: str) -> Callable[[Shop, pytest.MonkeyPatch], None]:
    # without the checksum of what stood there: rows that a program wrote wrongly, not rows that were damaged
    return _logged(f"UPDATE predictions SET features = {change}, row_sum = NULL")


def _labels(values: Callable[[pa.Table], pa.Table]) -> Callable[[Shop, pytest.MonkeyPatch], None]:
    def spoil(_: Shop, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(current_window, "build_spine", lambda *args, **options: values(build_spine(*args, **options)))

    return spoil


def _immature(spine: pa.Table) -> pa.Table:
    return spine.set_column(
        spine.column_names.index("mature"), "mature", pa.array(np.zeros(len(spine), bool))
    ).set_column(spine.column_names.index("label"), "label", pa.nulls(len(spine), pa.float64()))


def _all_false(spine: pa.Table) -> pa.Table:
    known = spine["label"].is_valid().to_numpy()
    return spine.set_column(
        spine.column_names.index("label"), "label", pa.array(np.zeros(len(spine)), mask=~known, type=pa.float64())
    )


def _without_reference(_: Shop, patch: pytest.MonkeyPatch) -> None:
    def lost(self: Bundle) -> None:
        raise NotFoundError("this bundle has no reference profile", where="bundle of shop")

    patch.setattr(Bundle, "read_reference", lost)


BAD = {
    "empty window": Bad(_logged("DELETE FROM predictions"), "nothing", "no predictions in this window"),
    "a few rows": Bad(
        _logged("DELETE FROM predictions WHERE id NOT IN (SELECT id FROM predictions ORDER BY cutoff_us DESC LIMIT 9)"),
        "nothing",
        "9 rows against",
    ),
    # The amounts of this shop have drifted, which is a reason to retrain without any label.
    "no labels yet": Bad(_labels(_immature), "retrain", "no labels yet"),
    "one-class labels": Bad(_labels(_all_false), "retrain", "labels are of one class: no AUC"),
    "a column gone": Bad(
        _features("json_remove(features, '$.amount')"), "retrain", "amount: gone from the current window", "amount"
    ),
    "a new category": Bad(
        _features("json_set(features, '$.customer_id', 'pigeon')"),
        "retrain",
        "new categories in 100.0% of rows: 'pigeon'",
    ),
    "all null": Bad(
        _features("json_set(features, '$.amount', NULL)"),
        "retrain",
        "amount: all null in the current window",
        "amount",
    ),
    "texts for numbers": Bad(
        _features("json_set(features, '$.amount', 'dear')"), "retrain", "amount: holds no numbers any more", "amount"
    ),
    "no reference": Bad(_without_reference, "alert", "the champion has no reference profile"),
}


class _Drawn:
    """Stands for Evidently's part of a page."""

    def add_to_workspace(self, *_: Any) -> None: ...

    def html(self) -> bytes:
        return b"<html></html>"


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_a_clear_outcome_to_the_end(case: str, turned: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = BAD[case]
    bad.spoil(turned, monkeypatch)
    monkeypatch.setattr(drawing, "render_report", lambda *args, **options: _Drawn())
    context = context_of(turned)
    report = look(context)
    decision = report.decision
    assert decision.kind == bad.kind, decision.reason
    assert bad.told in "; ".join([decision.reason, *report.notes])
    assert [finding.name for finding in decision.drifted if finding.broken] == ([bad.broken] if bad.broken else [])
    assert (decision_alert(decision) is None) == (bad.kind == "nothing")
    draw(context, report)
    json.dumps([artifact.data for artifact in report.artifacts()])
