"""A digest of an Arrow table's values, by which two runs compare what they have computed."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa


def table_digest(table: pa.Table) -> str:
    """sha256 of a table's names, types and values, whatever its chunks, slices and compression."""
    digest = hashlib.sha256(str(table.schema.remove_metadata()).encode())
    for column in table.columns:
        values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        digest.update(np.packbits(values.is_valid().to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_floating(values.type):
            numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
            digest.update(np.where(np.isnan(numbers), np.nan, numbers).tobytes())
        elif pa.types.is_primitive(values.type) and not pa.types.is_boolean(values.type):
            digest.update(values.cast(pa.int64()).fill_null(0).to_numpy().tobytes())
        else:
            digest.update("\x00".join(values.cast(pa.string()).fill_null("").to_pylist()).encode())
    return digest.hexdigest()
