"""The assembled rows of a table's first batches, so that opening a long history does not read every batch.

    lake/<problem>/assembled/<table>/<digest of the batches>/   rows.parquet, covers.json, manifest.json

A snapshot that read `MANY` batches or more leaves what it assembled there. A later one reads that file and the batches
after it. It is a cache: it has checksums, it may be deleted at any time, and it is used only where it gives the rows
that reading every batch gives: its batches come first, and no later row arrived before one of its rows.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core import parquet
from headrace.core.errors import HeadraceError
from headrace.core.files import read_json, staged_folder, write_json
from headrace.core.fingerprint import fingerprint
from headrace.core.manifest import read_manifest, write_manifest
from headrace.lake.batch import ROWS, Batch
from headrace.lake.conform import ARRIVAL
from headrace.lake.versions import kept_versions

#: Batches from which an assembly is worth leaving; more bytes than these are not copied.
MANY, MOST_BYTES = 32, 1 << 30
_COVERS = "covers.json"

_log = logging.getLogger(__name__)


def read_assembled(batches: Sequence[Batch]) -> tuple[int, pa.Table] | None:
    """Return the assembled rows of the first batches of a table, and how many batches these are; None: of none.

    Args:
        batches: All batches of the snapshot, in version order.
    """
    home = _home(batches)
    for folder in sorted(home.iterdir(), reverse=True) if home.is_dir() else ():
        try:
            manifest = read_manifest(folder)
            count = int(read_json(manifest.path(_COVERS))["batches"])
            if count <= len(batches) and folder.name.endswith(batches_digest(batches[:count])):
                return count, parquet.read(manifest.path(ROWS))
        except (HeadraceError, OSError, KeyError) as error:
            _log.warning("the assembled rows in %s are not used: %s", folder, error)
    return None


def leave_assembled(batches: Sequence[Batch], rows: pa.Table, covered: int) -> None:
    """Leave the assembled rows of all batches for later snapshots, where enough of them are not covered yet.

    Args:
        batches: In version order.
        rows: Their rows, in version order and without repeats, with `_arrival`.
        covered: Number of batches that an earlier file covers.
    """
    if len(batches) - covered < MANY or rows.nbytes > MOST_BYTES:
        return
    home = _home(batches)
    folder = home / f"{len(batches):08d}-{batches_digest(batches)}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            with staged_folder(folder) as staged:
                parquet.write(rows, staged / ROWS)
                write_json(staged / _COVERS, {"batches": len(batches)})
                write_manifest(staged)
        for other in home.iterdir():
            if other.name < folder.name and not other.name.startswith("."):
                shutil.rmtree(other, ignore_errors=True)
    except OSError as error:  # a full disk, or a lake that this process may only read
        _log.info("the assembled rows of %s were not written: %s", home, error)


def extended(first: pa.Table, parts: Sequence[pa.Table], keys: Sequence[str], latest: int) -> pa.Table | None:
    """Return assembled rows with those of later batches after them.

    Args:
        first: Assembled rows, with `_arrival`.
        parts: Rows of the later batches in version order, with `_arrival`.
        keys: Key columns.
        latest: When the last of the assembled batches arrived. Its rows may be missing from `first`: a repeat of an
            earlier row is dropped, and becomes a version again once another row arrived between the two.

    Returns:
        What assembling all batches gives; None where that needs every batch: a row arrived before one of the first, or
        a column has another type.
    """
    if any(_kinds(part, first) for part in parts):
        return None
    after = pa.concat_tables([_with_columns(part, first.schema) for part in parts])
    arrival = after[ARRIVAL].to_numpy()
    if len(arrival) and arrival.min() < latest:
        return None
    if np.any(arrival[1:] < arrival[:-1]):
        after = after.take(pa.array(np.argsort(arrival, kind="stable")))
    related = np.ones(first.num_rows, dtype=np.bool_)
    for name in keys:
        related &= pc.is_in(first[name], pc.unique(after[name])).to_numpy()
    before = first.filter(pa.array(related))
    kept = kept_versions(pa.concat_tables([before, after]).combine_chunks(), keys)[before.num_rows :]
    return pa.concat_tables([first, after.filter(pa.array(kept))]).combine_chunks()


def _kinds(part: pa.Table, first: pa.Table) -> bool:
    """Whether a part has a column that the first rows lack, or one of another type."""
    return any(
        field.name not in first.column_names or first.schema.field(field.name).type != field.type
        for field in part.schema
        if not pa.types.is_null(field.type)
    ) or any(pa.types.is_null(field.type) and field.name not in first.column_names for field in part.schema)


def _with_columns(part: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {
        field.name: part[field.name].cast(field.type)
        if field.name in part.column_names
        else pa.nulls(part.num_rows, field.type)
        for field in schema
    }
    return pa.table(columns)


def _home(batches: Sequence[Batch]) -> Path:
    table = batches[0].path.parent
    return table.parent.parent / "assembled" / table.name


def batches_digest(batches: Sequence[Batch]) -> str:
    """Return the digest of batches in version order."""
    return fingerprint([(batch.digest, batch.bootstrap or batch.arrival_us, batch.id) for batch in batches])[:20]
