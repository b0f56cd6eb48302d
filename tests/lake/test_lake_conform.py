"""Bad rows: one clear error each. Good rows of any origin: one form."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core.errors import DataError
from headrace.lake.conform import conform, required_columns
from headrace.lake.store import Lake
from headrace.lake.times import TIMESTAMP
from headrace.problems.catalogue import load_problem
from headrace.problems.sources.files import read_source
from headrace.schema import Table
from tests.tiny_problem import write_tiny_problem

WHEN = datetime(2024, 1, 1, tzinfo=UTC)
EVENTS = Table(name="events", key="id", time="at", known_at={"outcome": "done"}, source="-", roles={"size": "numeric"})


def events(**columns: object) -> pa.Table:
    data = {"id": [1, 2], "at": [WHEN, WHEN], "done": [WHEN, None], "outcome": [1.0, None], "size": [3, 4]}
    return pa.table(data | columns)


def refusal(rows: pa.Table, table: Table = EVENTS, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        conform(table, rows, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_kept_types_from_any_origin() -> None:
    rows = events(
        id=pa.array(["a", "b"]).dictionary_encode(),
        at=pa.array([WHEN, WHEN], pa.timestamp("ns", tz="America/New_York")),
        small=pa.array([1, 2], pa.int8()),
        money=pa.array([Decimal("1.50"), None]),
        missing=pa.array([float("nan"), 2.0], pa.float32()),
        day=pa.array([date(2024, 1, 2), None]),
        empty=pa.nulls(2),
        flag=[True, None],
    )
    conformed = conform(EVENTS, rows)
    kinds = {field.name: field.type for field in conformed.schema}
    assert kinds["id"] == pa.string()
    assert kinds["at"] == kinds["day"] == kinds["done"] == TIMESTAMP
    assert kinds["small"] == pa.int64()
    assert kinds["money"] == kinds["missing"] == pa.float64()
    assert conformed["at"].to_pylist() == [WHEN, WHEN]
    assert conformed["missing"].to_pylist() == [None, 2.0]
    assert conform(EVENTS, conformed).equals(conformed)


def test_missing_columns_are_all_named() -> None:
    message = refusal(events().drop_columns(["at", "outcome"]))
    assert "events: missing columns at, outcome" in message
    assert "found: id, done, size" in message


def test_problem_needs_its_label_and_foreign_keys(tmp_path: Path) -> None:
    problem = load_problem(write_tiny_problem(tmp_path))
    assert required_columns(problem, "orders") == ("customer_id", "placed", "refunded_amount")
    orders = problem.entity_set.table("orders")
    rows = orders.source.read().drop_columns(["customer_id"])  # type: ignore[union-attr]
    assert "missing column customer_id" in refusal(rows, orders, required=required_columns(problem, "orders"))


def test_naive_times_name_the_column_and_the_fix() -> None:
    message = refusal(events(at=[datetime(2024, 1, 1), datetime(2024, 1, 2)]))
    assert "'at' have no time zone" in message
    assert "2013-05-01T10:00:00Z" in message


def test_naive_times_in_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("id,at\n1,2024-01-01 10:00:00\n")
    table = Table(name="events", key="id", time="at", source="-")
    assert "events.at: the times in column 'at' have no time zone" in refusal(read_source(path), table)


def test_times_as_texts() -> None:
    good = conform(EVENTS, events(at=["2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00Z"]))
    assert good["at"].to_pylist() == [WHEN, WHEN]
    assert "row 2: not a time: 'soon'" in refusal(events(at=["2024-01-01T00:00:00Z", "soon"]))
    mixed = refusal(events(at=["2024-01-01T00:00:00Z", "2024-01-01T00:00:00"]))
    assert "row 2" in mixed
    assert "no time zone" in mixed


def test_bare_dates_need_a_resolution() -> None:
    rows = events(at=pa.array([date(2024, 1, 1), date(2024, 1, 1)]))
    assert "resolution='1d'" in refusal(rows)
    daily = Table(name="events", key="id", time="at", resolution="1d", source="-")
    assert conform(daily, rows)["at"].to_pylist() == [WHEN, WHEN]


def test_numbers_where_times_belong() -> None:
    assert "events.at, row 1: not a time: 1" in refusal(events(at=[1, 2]))


def test_text_in_a_declared_numeric_column() -> None:
    message = refusal(events(size=["3", "three"]))
    assert "events.size, row 2: text in a numeric column: 'three'" in message
    assert conform(EVENTS, events(size=["3", "4.5"]))["size"].to_pylist() == [3.0, 4.5]


def test_text_in_a_column_that_is_numeric_but_for_it() -> None:
    table = Table(name="t", key="id", source="-")
    values = [str(number) for number in range(20)]
    rows = pa.table({"id": range(20), "price": [*values[:7], "n.a", *values[8:]]})
    assert "t.price, row 8: text in a numeric column: 'n.a'" in refusal(rows, table)
    codes = Table(name="t", key="id", source="-", roles={"price": "categorical"})
    assert conform(codes, rows)["price"].type == pa.string()


def test_text_in_a_column_that_was_numeric_before() -> None:
    table = Table(name="t", key="id", source="-")
    before = pa.schema([("id", pa.int64()), ("price", pa.float64())])
    rows = pa.table({"id": [1, 2], "price": ["a", "b"]})
    assert "t.price, row 1" in refusal(rows, table, expected=before)


@pytest.mark.parametrize("bad", [float("inf"), float("-inf")])
def test_infinite_numbers(bad: float) -> None:
    assert "events.outcome, row 2: an infinite number" in refusal(events(outcome=[1.0, bad]))


def test_duplicate_keys_unless_they_are_versions() -> None:
    message = refusal(events(id=[7, 7]))
    assert "events: 1 duplicate key (id). found: 7" in message
    versions = events(id=[7, 7], _arrival=pa.array([0, 1], TIMESTAMP))
    assert conform(EVENTS, versions).num_rows == 2
    assert "duplicate key" in refusal(events(id=[7, 7], _arrival=pa.array([1, 1], TIMESTAMP)))


def test_no_rows() -> None:
    assert "no rows" in refusal(events().slice(0, 0), allow_empty=False)
    assert conform(EVENTS, events().slice(0, 0)).num_rows == 0


def test_reserved_nested_and_doubled_columns() -> None:
    assert "begin with _" in refusal(events(_order=[1, 2]))
    assert "list<" in refusal(events(tags=[["a"], ["b"]]))
    twice = pa.table([pa.array([1]), pa.array([1])], names=["id", "id"])
    assert "come twice" in refusal(twice)


def test_files_that_are_missing_empty_or_something_else(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "there.parquet")
    with pytest.raises(DataError, match=r"no such file. found: there.parquet"):
        read_source(tmp_path / "gone.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match="the file is empty"):
        read_source(tmp_path / "empty.csv")
    (tmp_path / "broken.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        read_source(tmp_path / "broken.parquet")
    (tmp_path / "rows.xlsx").touch()
    with pytest.raises(DataError, match="neither CSV nor Parquet"):
        read_source(tmp_path / "rows.xlsx")


def test_nanoseconds_are_cut_not_refused() -> None:
    at = pa.array(np.array([1, 1_999], dtype="datetime64[ns]")).cast(pa.timestamp("ns", tz="UTC"))
    assert conform(EVENTS, events(at=at))["at"].cast(pa.int64()).to_pylist() == [0, 1]


def test_known_types_keep_a_code_a_text(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text("code,n\n007,1\n")
    assert read_source(path)["code"].to_pylist() == [7]
    assert read_source(path, {"code": pa.string()})["code"].to_pylist() == ["007"]


def test_an_ignored_column_is_kept_unless_it_cannot_be() -> None:
    table = Table(name="t", key="id", source="-", roles={"note": "ignore", "tags": "ignore"})
    rows = conform(table, pa.table({"id": [1], "note": ["x"], "tags": [["a"]]}))
    assert rows.to_pylist() == [{"id": 1, "note": "x", "tags": None}]


@pytest.mark.parametrize(
    "odd",
    [
        pa.array(["dear", "7"]),
        pa.array([float("inf"), 1.0]),
        pa.array([datetime(2024, 1, 1, 3), datetime(2024, 1, 2, 3)]),
        pa.array([b"a", b"b"]),
        pa.array([[1], [2]]),
        pa.array([2**63, 1], pa.uint64()),
    ],
    ids=lambda odd: str(odd.type),
)
def test_nothing_is_said_of_an_ignored_column_whatever_it_holds(odd: pa.Array, tmp_path: Path) -> None:
    table = replace(EVENTS, bounds={"size": (0, 1)})
    lake = Lake(tmp_path, "p")
    lake.append(table, events(size=pa.array([1.0, 2.0])), arrival_us=0)
    with pytest.raises(DataError):
        conform(table, events(size=odd))
    rows = conform(table, events(size=odd), expected=lake.schema("events"), ignored=["size"])
    lake.append(table, rows, arrival_us=1)
    assert lake.snapshot().table("events")["size"].null_count == 2


def test_a_column_that_something_reads_is_not_ignored() -> None:
    with pytest.raises(DataError, match="no time zone"):
        conform(EVENTS, events(at=[datetime(2024, 1, 1), datetime(2024, 1, 2)]), ignored=["at"])
