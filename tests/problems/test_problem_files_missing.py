"""What a CSV calls missing, and what it does not; what a declaration must not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import DeclarationError
from headrace.evaluate import splits
from headrace.problems.sources.files import read_source
from headrace.schema import EntitySet, Problem, Table, each_row


def test_nan_in_a_csv_is_a_number_gone_wrong_not_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("key,label,note\na,NaN,x\nb,NA,\nc,1.5,y\n")
    rows = read_source(path)
    assert rows["label"].null_count == 1
    assert str(rows["label"][0]) == "nan"
    assert rows["note"].null_count == 1


def _declared(**options: Any) -> Problem:
    orders = Table(name="orders", key="order_id", time="placed", source="orders.csv")
    return Problem(
        name="shop",
        entity_set=EntitySet(tables=(orders,)),
        spine=each_row("orders", cutoff="placed"),
        **{"label": "amount >= 3", **options},
    )


@pytest.mark.parametrize(
    ("label", "metric", "fitting"),
    [
        ("amount", "auc", "rmse, mae"),
        ("amount", "average_precision", "rmse, mae"),
        ("amount >= 3", "rmse", "auc, average_precision, log_loss, brier"),
        ("amount >= 3", "mae", "auc, average_precision, log_loss, brier"),
    ],
)
def test_a_metric_that_does_not_measure_the_label_is_refused_with_those_that_do(
    label: str, metric: str, fitting: str
) -> None:
    with pytest.raises(DeclarationError, match=f"does not measure .* found: {fitting}"):
        _declared(label=label, metric=metric)
    for other in fitting.split(", "):
        assert _declared(label=label, metric=other).metric == other


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ({"tune_share": 0}, "tune_share=0"),
        ({"gate_share": 1.5}, "gate_share=1.5"),
        ({"gate_share": "a tenth"}, "gate_share='a tenth'"),
        ({"tune_share": True}, "tune_share=True"),
        ({"tune_share": float("nan")}, "tune_share=nan"),
        ({"tune_share": 0.4, "gate_share": 0.3}, "leave too few rows to learn from"),
    ],
)
def test_shares_that_leave_nothing_are_refused(shares: dict[str, Any], why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        _declared(**shares)


def test_the_shares_are_those_of_the_windows() -> None:
    problem = _declared()
    assert (problem.tune_share, problem.gate_share) == (splits.TUNE_SHARE, splits.GATE_SHARE)
    assert _declared(tune_share=0.4, gate_share=0.2).tune_share == 0.4
