"""What is wrong with a source is told by name: a change while it is read, a variable that is not set, an address."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from headrace.core.errors import DataError, UnavailableError
from headrace.problems.sources.addresses import as_source
from headrace.problems.sources.csv_files import read_csv
from headrace.problems.sources.reading import SourceReader
from headrace.schema import EntitySet, Table

ORDERS = "order_id,amount\n1,2.5\n2,3.5\n"


def rows_of(source: object, folder: Path) -> pa.Table:
    table = Table(name="orders", key="order_id", source=source)
    return SourceReader(entity_set=EntitySet(tables=(table,)), folder=folder).rows(table)


def test_a_file_that_is_written_while_it_is_read_whole_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS)

    def written_meanwhile(*arguments: object) -> pa.Table:
        path.write_text(ORDERS + "3,4.5\n")
        return read_csv(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("headrace.problems.sources.files.read_csv", written_meanwhile)
    with pytest.raises(DataError, match=r"orders.csv: the source changed while it was read"):
        rows_of("orders.csv", tmp_path)


def test_an_object_whose_rows_change_while_they_are_read_whole_is_refused(tmp_path: Path) -> None:
    class Moving:
        count = 0

        def fingerprint(self) -> str:
            return str(self.count)

        def read(self) -> pa.Table:
            self.count += 1
            return pa.table({"order_id": range(self.count)})

    with pytest.raises(DataError, match="orders: the source changed while it was read"):
        rows_of(Moving(), tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://me:${NOPE_X}@host/shop#orders",
        "sqlite:///${NOPE_X}/shop.db#orders",
        "postgresql+adbc://me:${NOPE_X}@host/shop#orders",
        "delta:///${NOPE_X}/orders",
        "s3://${NOPE_X}/orders.parquet",
        "${NOPE_X}/orders.csv",
    ],
)
def test_an_environment_variable_that_is_not_set_is_named(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOPE_X", raising=False)
    with pytest.raises(DataError, match=r"environment variable NOPE_X is not set.*export NOPE_X="):
        as_source(address, tmp_path).read()


def test_an_environment_variable_that_is_set_is_part_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a$b.csv").write_text(ORDERS)  # a $ without braces is a character of the name
    monkeypatch.setenv("SHOP_X", "data")
    monkeypatch.delenv("b", raising=False)
    assert as_source("${SHOP_X}/a$b.csv", tmp_path).read().num_rows == 2


def test_an_unknown_scheme_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of the scheme 'foo'. found: file, s3, s3a, gs, gcs, .*docs/sources.md"):
        as_source("foo://x/orders.csv", tmp_path).read()


def test_a_catalog_that_is_not_declared_is_what_is_to_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyiceberg")
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    with pytest.raises((DataError, UnavailableError), match=r"PYICEBERG_CATALOG__NOCAT__URI") as refused:
        as_source("iceberg://nocat/shop.orders").read()
    assert "correct the file" not in str(refused.value)


@pytest.mark.parametrize("value", ["{folder}", "file://{folder}", "data"])
def test_a_variable_at_the_start_of_a_path_may_hold_a_folder_or_an_address(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative ones start in the problem's folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.csv").write_text(ORDERS)
    monkeypatch.setenv("SHOP_DATA", value.format(folder=tmp_path / "data"))
    assert rows_of("${SHOP_DATA}/orders.csv", tmp_path).num_rows == 2
    with pytest.raises(DataError, match="environment variable NOPE_X is not set"):
        rows_of("${NOPE_X}/orders.csv", tmp_path)
