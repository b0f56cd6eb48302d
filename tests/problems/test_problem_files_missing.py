"""What a CSV calls missing, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError
from headrace.problems.files import read_source
from headrace.schema import EntitySet, Problem, Table, each_row


def test_nan_in_a_csv_is_a_number_gone_wrong_not_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("key,label,note\na,NaN,x\nb,NA,\nc,1.5,y\n")
    rows = read_source(path)
    assert rows["label"].null_count == 1
    assert str(rows["label"][0]) == "nan"
    assert rows["note"].null_count == 1


@pytest.mark.parametrize(("label", "metric"), [("amount", "auc"), ("amount >= 3", "rmse")])
def test_a_metric_that_does_not_measure_the_label_is_refused_at_declaration(label: str, metric: str) -> None:
    orders = Table(name="orders", key="order_id", time="placed", source="orders.csv")
    with pytest.raises(DeclarationError, match="does not measure"):
        Problem(
            name="shop",
            entity_set=EntitySet(tables=(orders,)),
            spine=each_row("orders", cutoff="placed"),
            label=label,
            metric=metric,
        )
