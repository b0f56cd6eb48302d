"""Feature definitions and feature matrices, as stages and operations read them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.files import read_json
from headrace.lake.store import Snapshot
from headrace.pipeline.context import Context
from headrace.schema import Problem
from headrace.synthesis.language.definitions import Definition, from_json, stored
from headrace.synthesis.primitives.finish import finish


def read_definitions(path: Path) -> tuple[Definition, ...]:
    """Definitions from a JSON list."""
    return tuple(from_json(item) for item in read_json(path))


def schemas(problem: Problem, snapshot: Snapshot) -> dict[str, pa.Schema]:
    """The Arrow schema of every table, as it lies in the lake."""
    return {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}


def content_digest(table: pa.Table) -> str:
    """sha256 of a table's names, types and values; independent of how it is chunked, sliced or compressed."""
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


def finished_matrix(context: Context, service: str, definitions: tuple[Definition, ...], spine: pa.Table) -> pa.Table:
    """Model input for spine rows [n rows, one column per definition], read through the store."""
    from headrace.store.training import training_features

    read = training_features(context.root, context.problem, service, spine)
    values = {item.slug: read[item.slug] for item in stored(definitions)}
    row = {name: spine[name] for name in spine.column_names}
    return finish(definitions, values, row, spine["tick"].to_numpy(), spine["cutoff"].to_numpy())
