"""A key's values have one form wherever they leave Arrow, and what people write is read by the column's type."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from headrace.core.errors import DataError
from headrace.core.fingerprint import fingerprint
from headrace.lake.keys import key_json, key_value, read_logged_key, read_value, row_keys, value_text

UTC_US = pa.timestamp("us", tz="UTC")
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("c01", "c01"),
        (7, 7),
        (2**62, 2**62),
        (7.0, 7),
        (-0.0, 0),
        (0.1, 0.1),
        (True, True),
        (None, None),
        (Decimal(10), 10),
        (NOON, "2024-03-01T12:00:00Z"),
        (NOON + timedelta(microseconds=7), "2024-03-01T12:00:00.000007Z"),
        (NOON.astimezone(timezone(timedelta(hours=-5))), "2024-03-01T12:00:00Z"),
        (date(2024, 3, 1), "2024-03-01T00:00:00Z"),
    ],
)
def test_a_value_has_one_form_that_json_and_fingerprints_take(value: Any, form: object) -> None:
    assert key_value(value) == form
    assert type(key_value(value)) is type(form)
    assert fingerprint([key_value(value)])
    assert key_json([key_value(value)])


@pytest.mark.parametrize("value", [datetime(2024, 3, 1), b"a", [1], {"a": 1}])
def test_what_names_nothing_is_refused(value: Any) -> None:
    with pytest.raises(DataError):
        key_value(value)


@pytest.mark.parametrize(
    ("written", "kind", "form"),
    [
        ("2024-03-01T13:00:00+01:00", UTC_US, "2024-03-01T12:00:00Z"),
        ("2024-03-01 12:00:00+00:00", UTC_US, "2024-03-01T12:00:00Z"),
        ("2024-03-01", UTC_US, "2024-03-01T00:00:00Z"),
        ("7", pa.int64(), 7),
        (7.0, pa.int64(), 7),
        (7, pa.float64(), 7),
        ("0.5", pa.float64(), 0.5),
        ("true", pa.bool_(), True),
        (False, pa.bool_(), False),
        (7, pa.string(), "7"),
        (None, pa.string(), None),
    ],
)
def test_what_is_written_is_read_by_the_columns_type(written: Any, kind: pa.DataType, form: object) -> None:
    assert read_value(written, kind) == form
    assert pa.scalar(value_text(read_value(written, kind)), pa.string()).cast(kind).is_valid is (form is not None)


@pytest.mark.parametrize(
    ("written", "kind", "says"),
    [
        ("2024-03-01T12:00:00", UTC_US, "an ISO time with its zone"),
        ("soon", UTC_US, "an ISO time with its zone"),
        (1.5, pa.int64(), "a whole number of 64 bits"),
        (10**400, pa.int64(), "a whole number of 64 bits"),
        (True, pa.int64(), "a whole number of 64 bits"),
        (10**400, pa.float64(), "a finite number"),
        (1, pa.bool_(), "true, false or null"),
        (["a"], pa.string(), "a text, a whole number or null"),
    ],
)
def test_what_cannot_be_of_the_type_is_refused(written: Any, kind: pa.DataType, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_value(written, kind, "request, key")


def test_a_rows_key_is_found_however_a_request_wrote_it() -> None:
    rows = pa.table({"who": ["a", "b"], "at": pa.array([NOON, NOON + timedelta(days=1)], UTC_US), "x": [1.0, 2.5]})
    names = ["who", "at", "x"]
    types = [rows.schema.field(name).type for name in names]
    assert row_keys(rows, names) == [("a", "2024-03-01T12:00:00Z", 1), ("b", "2024-03-02T12:00:00Z", 2.5)]
    assert read_logged_key(["a", "2024-03-01T11:00:00-01:00", "1"], types) == row_keys(rows, names)[0]
    assert read_logged_key(["a", "yesterday", 1], types) == ("a", "yesterday", 1)
    assert read_logged_key(["a"], types) == ("a",)
