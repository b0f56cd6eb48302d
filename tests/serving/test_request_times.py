"""Times of requests: accepted as the table's source accepts them, as the same instant; advice of a refusal works."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from headrace.core.errors import DataError
from headrace.lake.times import TimeFormat, column_instants
from headrace.schema import Table
from headrace.serving.request import RequestSchema, check_row

ORDERS = Table(name="orders", key="order_id", time="placed", source="orders.csv")
TABLES = {
    "plain": ORDERS,
    "Zurich": replace(ORDERS, tz="Europe/Zurich"),
    "days": replace(ORDERS, resolution="1d"),
    "Zurich's days": replace(ORDERS, tz="Europe/Zurich", resolution="1d"),
    "years": replace(ORDERS, resolution="1y"),
}
VALUES: tuple[Any, ...] = (
    "2024-07-01T12:00:00Z", "2024-07-01T12:00:00+02:00", "2024-07-01 12:00:00", "2024-07-01T12:00:00", "2024-07-01",
    "2024-07", "2024", 2024, 1_719_835_200, 1_719_835_200.5, 1_719_835_200_000, 1_719_835_200_000_000, 45_000, 20240701,
    "2024-03-31T02:30:00", "2024-10-27T02:30:00", "soon", "", 0, -1,
)  # fmt: skip


_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})")


def asked(table: Table, value: Any) -> int | None:
    """The instant of a request's row."""
    schema = RequestSchema(join_keys=(), columns={}, time="placed", table=table)
    return check_row(schema, {"placed": value}, "request").time_us


def refusal(table: Table, value: Any) -> str | None:
    """What is wrong with a request's time and what to do; None where it is accepted."""
    try:
        asked(table, value)
    except DataError as error:
        return f"{error.what}. {error.fix}"
    return None


def read(table: Table, value: Any) -> int | None:
    """The instant of a row of the source."""
    column = pa.chunked_array([pa.array([value])])
    found: int | None = column_instants(column, TimeFormat.of(table, "placed"), "placed").cast(pa.int64())[0].as_py()
    return found


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_a_request_accepts_what_the_source_accepts(name: str, value: Any) -> None:
    table = TABLES[name]
    try:
        expected = read(table, value)
    except DataError:
        with pytest.raises(DataError):
            asked(table, value)
    else:
        assert asked(table, value) == expected


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_the_advice_of_a_refusal_is_accepted(name: str, value: Any) -> None:
    """Every time that a refusal shows can be sent."""
    table = TABLES[name]
    if (said := refusal(table, value)) is not None:
        shown = _INSTANT.findall(said)
        assert shown, said
        for advice in shown:
            assert asked(table, advice) is not None
