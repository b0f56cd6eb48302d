"""Read CSV files whole or in blocks, with the same types of columns.

PyArrow infers the types of a stream from its first block. A larger file is therefore read twice: once for its types,
once for its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs as fs

from headrace.core.errors import DataError

#: Texts that mean "no value" where a table declares none. NaN is not among them: it is a number gone wrong, and a
#: label must not be one.
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None")
#: Bytes of one block.
BLOCK = 2 << 20

_NO_CONVERSION = re.compile(r"In CSV column #(\d+):(?: Row #\d+:)? CSV conversion error to ([^:]+):")
#: The next type of a column whose values do not fit one, in the order in which PyArrow infers; text for all others.
_WIDER = {"null": pa.int64(), "int64": pa.bool_(), "bool": pa.float64()}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a CSV is written.

    Attributes:
        delimiter: the character between two values.
        encoding: such as "utf-8" or "cp1252".
        decimal: the character before the decimals.
        null_values: texts that mean "no value".
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    null_values: tuple[str, ...] = MISSING

    def options(self, types: Mapping[str, pa.DataType], block: int | None = None) -> dict[str, Any]:
        """Return PyArrow's options. types: of columns that are known; the others are inferred."""
        return {
            "read_options": pyarrow.csv.ReadOptions(encoding=self.encoding, block_size=block or BLOCK),
            "parse_options": pyarrow.csv.ParseOptions(delimiter=self.delimiter),
            "convert_options": pyarrow.csv.ConvertOptions(
                column_types=dict(types),
                strings_can_be_null=True,
                null_values=list(self.null_values),
                decimal_point=self.decimal,
            ),
        }


def read_csv(filesystem: fs.FileSystem, path: str, types: Mapping[str, pa.DataType], dialect: Dialect) -> pa.Table:
    """Read all rows of a file."""
    with filesystem.open_input_stream(path) as stream:
        return pyarrow.csv.read_csv(stream, **dialect.options(types))


def csv_types(
    filesystem: fs.FileSystem, path: str, dialect: Dialect, block: int | None = None
) -> dict[str, pa.DataType]:
    """Read a file in blocks for the types of its columns: those that PyArrow infers of the whole file, else text."""
    types: dict[str, pa.DataType] = {}
    while True:
        try:
            with filesystem.open_input_stream(path) as stream:
                reader = pyarrow.csv.open_csv(stream, **dialect.options(types, block))
                names = reader.schema.names
                types = {field.name: field.type for field in reader.schema}
                for _ in reader:
                    pass
            return types
        except pa.ArrowInvalid as error:
            found = _NO_CONVERSION.search(str(error))
            if found is None:
                raise
            if not types:  # inferred in the first block: PyArrow never fails there
                raise DataError(str(error).splitlines()[0], where=path, fix="correct the file") from None
            name = names[int(found[1])]
            types[name] = _WIDER.get(str(types[name]), pa.string())


def csv_batches(
    filesystem: fs.FileSystem, path: str, types: Mapping[str, pa.DataType], dialect: Dialect, block: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, with these types of columns."""
    with filesystem.open_input_stream(path) as stream:
        yield from pyarrow.csv.open_csv(stream, **dialect.options(types, block))
