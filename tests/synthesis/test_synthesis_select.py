"""Selection: what carries the label stays, everything else goes with its reason, and the seed decides alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.errors import DataError
from headrace.synthesis.language.definitions import Aggregate, Condition, Definition, Direct, Grouped, RowColumn
from headrace.synthesis.selection.cost import cost_of, ranked
from headrace.synthesis.selection.select import Selection, select

ROWS = 8000
RNG = np.random.default_rng(0)
SIGNAL, FAINT = RNG.normal(size=ROWS), RNG.normal(size=ROWS)
LABEL = (SIGNAL + 0.5 * FAINT + RNG.normal(size=ROWS) > 0).astype(np.float64)
MOSTLY = np.where(np.arange(ROWS) < 20, 1.0, np.nan)
HALF = np.where(RNG.random(ROWS) < 0.5, np.nan, LABEL)


def column(name: str, kind: str = "numeric") -> Definition:
    return RowColumn(column=name, kind=kind)  # type: ignore[arg-type]


COLUMNS: dict[str, pa.Array] = {
    "signal": pa.array(SIGNAL),
    "faint": pa.array(FAINT),
    "again": pa.array(SIGNAL),
    "scaled": pa.array(SIGNAL * 3 + 1e-3 * RNG.normal(size=ROWS)),
    "still": pa.array(np.ones(ROWS)),
    "mostly": pa.array(MOSTLY, from_pandas=True),
    "leak": pa.array(LABEL * 10 + RNG.random(ROWS)),
    "leak_where_there": pa.array(HALF, from_pandas=True),
    "leak_by_null": pa.array(np.where(LABEL == 1, RNG.random(ROWS), np.nan), from_pandas=True),
    **{f"noise{index}": pa.array(RNG.normal(size=ROWS)) for index in range(30)},
}
TEXT = {"group": pa.array(np.where(SIGNAL > 0.3, "high", "low")), "identity": pa.array([str(i) for i in range(ROWS)])}
DEFINITIONS = (*(column(name) for name in COLUMNS), *(column(name, "categorical") for name in TEXT))
MATRIX = pa.table({**COLUMNS, **TEXT})


def chosen(max_features: int = 100, label: object = LABEL) -> Selection:
    return select(MATRIX, label, DEFINITIONS, max_features=max_features, seed=3, threads=1)


def test_every_candidate_has_its_reason() -> None:
    selection = chosen()
    ledger = {entry["slug"]: entry for entry in selection.ledger}
    assert len(ledger) == len(DEFINITIONS)
    reasons = {slug: entry["reason"] for slug, entry in ledger.items()}
    assert reasons["signal"] == reasons["faint"] == "kept"
    assert reasons["again"] == "duplicate of signal"
    assert reasons["scaled"] == "correlated with signal"
    assert reasons["still"] == "constant"
    assert reasons["mostly"] == "mostly null"
    assert all(reasons[name].startswith("leaks") for name in ("leak", "leak_where_there", "leak_by_null"))
    assert reasons["identity"].startswith("more than")
    assert sum(reasons[f"noise{index}"] == "no better than noise" for index in range(30)) >= 20
    assert selection.kept[0].slug == "signal"
    assert ledger["mostly"]["null_share"] == pytest.approx(1 - 20 / ROWS)


def test_no_more_than_asked_are_kept_and_the_best_are() -> None:
    selection = chosen(max_features=2)
    assert selection.kept[0].slug == "signal"
    assert len(selection.kept) == 2


def test_the_seed_decides_alone() -> None:
    assert chosen() == chosen()


def test_a_number_is_a_target_too() -> None:
    names = {item.slug for item in chosen(label=SIGNAL * 2 + FAINT + RNG.normal(size=ROWS)).kept}
    assert {"signal", "faint"} <= names


def test_a_null_label_is_refused() -> None:
    with pytest.raises(DataError, match="1 null"):
        chosen(label=np.where(np.arange(ROWS) == 0, np.nan, LABEL))


def test_where_nothing_is_worth_keeping_it_says_why() -> None:
    definitions = (column("still"), column("mostly"))
    matrix = pa.table({item.slug: COLUMNS[item.slug] for item in definitions})
    with pytest.raises(DataError, match="none of 2 candidate features is worth keeping") as caught:
        select(matrix, LABEL, definitions, max_features=5, seed=0, threads=1)
    assert "constant: 1" in str(caught.value)
    assert "mostly null: 1" in str(caught.value)


def test_labels_of_other_rows_are_not_looked_at() -> None:
    looked, other = np.arange(5000), np.arange(5000, ROWS)
    swapped = LABEL.copy()
    swapped[other] = 1 - swapped[other]

    def kept(label: np.ndarray, rows: np.ndarray | None) -> tuple[Definition, ...]:
        return select(MATRIX, label, DEFINITIONS, max_features=100, seed=3, threads=1, rows=rows).kept

    assert kept(LABEL, looked) == kept(swapped, looked)
    assert kept(LABEL, None) != kept(swapped, None)  # the swap would have been noticed


def test_what_has_more_levels_is_dearer_so_that_of_two_twins_the_flat_one_stays() -> None:
    amount = RowColumn(column="amount", kind="numeric")
    flat = Aggregate(
        entity="customer", table="orders", keys=("customer",), column="amount", primitive="mean", lookback_us=None,
        kind="numeric",
    )  # fmt: skip
    where = replace(flat, where=Condition(on=amount, operator="==", value=1.0))
    price = Direct(entity="shop", table="shops", column="price", kind="numeric")
    running = Grouped(table="orders", keys=("shop",), primitive="cum_mean", value=amount, kind="numeric")
    across = replace(flat, entity="shop", keys=("shop",))
    above, beside, below = (replace(flat, column="", value=item) for item in (price, running, across))
    twice = replace(flat, column="", value=replace(across, column="", value=price))
    costs = [cost_of(item) for item in (amount, price, flat, above, beside, twice)]
    assert costs == sorted(set(costs))
    assert cost_of(where) == cost_of(flat)
    assert cost_of(beside) == cost_of(below)


def test_the_ledger_states_how_far_models_agree_on_a_feature() -> None:
    selection = chosen()
    ledger = {entry["slug"]: entry["agreement"] for entry in selection.ledger}
    assert ledger["signal"] == ledger["faint"] == 1.0
    assert ledger["still"] is None  # dropped before any model
    assert all(ledger[item.slug] > 0.5 for item in selection.kept)
    assert 0.5 < selection.agreement <= 1.0


def test_of_about_equal_gains_the_cheaper_feature_comes_first() -> None:
    cheap = column("cheap")
    direct = Direct(entity="e", table="t", column="x", kind="numeric")
    costly = Aggregate(
        entity="e", table="t", keys=("e",), column="x", primitive="median", lookback_us=None, kind="numeric"
    )
    assert cost_of(cheap) < cost_of(direct) < cost_of(costly)
    assert ranked({costly: 1.2, direct: 1.1, cheap: 1.0}) == [cheap, direct, costly]
    assert ranked({costly: 1.3, direct: 1.1, cheap: 1.0}) == [direct, costly, cheap]  # 1.0 is no tie with 1.3
    assert ranked({costly: 2.0, cheap: 1.0, direct: 0.0}) == [costly, cheap, direct]
