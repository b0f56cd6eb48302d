"""What is wrong with a source is told by name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from headrace.core.errors import DataError
from headrace.problems.sources import files
from headrace.problems.sources.reading import SourceReader
from headrace.schema import EntitySet, Table

ORDERS = "order_id,amount\n1,2.5\n2,3.5\n"


def rows_of(source: object, folder: Path) -> pa.Table:
    table = Table(name="orders", key="order_id", source=source)  # type: ignore[arg-type]
    return SourceReader(entity_set=EntitySet(tables=(table,)), folder=folder).rows(table)


def test_a_file_that_is_written_while_it_is_read_whole_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "orders.csv", files.read_csv
    path.write_text(ORDERS)

    def written_meanwhile(*arguments: object) -> pa.Table:
        path.write_text(ORDERS + "3,4.5\n")
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "read_csv", written_meanwhile)
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
