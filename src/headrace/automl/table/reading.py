"""Read a table from a CSV or Parquet file, with its column names as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from headrace.core import parquet
from headrace.core.errors import DataError, NotFoundError


def read_table(path: Path, *, texts: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table.

    Args:
        path: The file.
        texts: Columns that are texts as they stand in a CSV file, so that 01 is not 1; those that it lacks are ignored.

    Raises:
        NotFoundError: There is no such file.
        DataError: The file is neither CSV nor Parquet, has no rows, or two columns of one name.
    """
    if not path.is_file():
        raise NotFoundError("no such file", where=str(path))
    if path.suffix == ".parquet":
        frame: pd.DataFrame = parquet.read(path).to_pandas()
        return _with_rows(frame, path)
    try:
        names = list(pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0])
        frame = pd.read_csv(path, low_memory=False, dtype=dict.fromkeys(texts, str))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"not a table in CSV ({error})", where=str(path)) from None
    if len(names) == frame.shape[1]:  # pandas renames duplicates; the checks must see them
        frame.columns = pd.Index(names)
    return _with_rows(frame, path)


def _with_rows(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not len(frame):
        raise DataError("the table has no rows", where=str(path))
    return frame
