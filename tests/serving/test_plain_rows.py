"""Plain rows are validated at once: the same rows and errors as by the checks of single values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.serving import plain_rows
from headrace.serving.flags import checked_row
from headrace.serving.plain_rows import PlainRows
from headrace.serving.request import RequestRow, RequestSchema

SCHEMA = RequestSchema(
    join_keys=("customer_id", "shop"),
    columns={
        "amount": "numeric", "gift": "boolean", "channel": "categorical", "city": "categorical", "note": "text",
        "placed": "time",
    },
    time="due",
    row_key=("order_id", "line"),
    key_types={"customer_id": "string", "shop": "int64", "line": "int64"},
    ignored=frozenset({"extra"}),
    categories={"channel": frozenset({"web", "shop", "Zürich"})},
)  # fmt: skip
TEXTS = st.sampled_from(["web", "c1", "Zürich", "fax", "", "x" * 10_001, "\ud800", "日本"])
TIMES = st.sampled_from(
    ["2013-05-01T12:00:00Z", "2013-05-01T12:00:00+02:00", "2013-05-01T12:00:00", "2013-05-01", "yesterday", "9" * 90]
)
ANY = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([2**53, 2**63, 10**400]), st.floats(), TEXTS, TIMES,
    st.just([1]),
)  # fmt: skip
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "customer_id": st.sampled_from(["c1", "c2"]),
    "shop": st.integers(0, 5),
    "amount": st.none() | st.floats(-10, 10) | st.integers(-10, 10),
    "gift": st.none() | st.booleans(),
    "channel": st.none() | st.sampled_from(["web", "Zürich"]),
    "city": st.none() | st.just("Bern"),
    "note": st.none(),
    "placed": st.none() | TIMES.filter(lambda text: text.endswith(("Z", "+02:00"))),
}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row that is plain but for some of its values; some are absent, or more than there should be."""
    row = {name: draw(values) for name, values in PLAIN.items()}
    for name in draw(st.lists(st.sampled_from([*PLAIN, "due", "order_id", "line", "extra", "colour"]), max_size=3)):
        row[name] = draw(ANY)
    for name in draw(st.lists(st.sampled_from(sorted(PLAIN)), max_size=1)):
        del row[name]
    return row


def outcome(check: Any) -> tuple[str, str]:
    try:
        found = check()
    except DataError as error:
        return "refused", str(error)
    assert isinstance(found, RequestRow)
    return "row", repr(found)


@given(rows(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_rows_are_validated_as_by_the_slow_checks(row: dict[str, Any], strict: bool) -> None:
    plain = PlainRows(SCHEMA)
    expected = outcome(lambda: checked_row(SCHEMA, row, "request", strict=strict))
    for _ in range(2):  # the second time, times are in memory
        assert outcome(lambda: plain.check(row, "request", strict=strict)) == expected


def test_plain_rows_do_not_reach_the_slow_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_rows, "checked_row", None)
    row = {
        "customer_id": "c1", "shop": 3, "amount": 2, "gift": True, "channel": "Zürich", "city": "Bern", "note": None,
        "placed": "2013-05-01T12:00:00Z", "due": "2013-05-01T12:00:00Z", "order_id": "a", "extra": [1],
    }  # fmt: skip
    assert PlainRows(SCHEMA).check(row, "request").columns["amount"] == 2.0


@pytest.mark.parametrize("name", ["colour", "", "Amount"])
def test_an_unknown_field_is_flagged_as_by_the_slow_checks(name: str) -> None:
    row = {**dict.fromkeys(SCHEMA.names), "customer_id": "c1", "shop": 3, name: 1}
    for strict in (False, True):
        expected = outcome(lambda strict=strict: checked_row(SCHEMA, row, "request", strict=strict))
        assert outcome(lambda strict=strict: PlainRows(SCHEMA).check(row, "request", strict=strict)) == expected
    assert PlainRows(SCHEMA).check(row, "request").flags == (f"unknown_field:{name}",)
