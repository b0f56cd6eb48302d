"""Store a refused batch unchanged with the reasons, for whoever corrects its source."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core import parquet
from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import staged_folder, write_json
from headrace.core.manifest import check_manifest, write_manifest
from headrace.lake.batch import FACTS, ROWS


def write_refused(
    lake: Path, table: str, rows: pa.Table, *, arrival_us: int, reasons: Sequence[Mapping[str, Any]]
) -> tuple[Path, bool]:
    """Write the folder of a refused batch; the same refusal again is the same folder.

    Args:
        lake: Folder of the problem's lake.
        table: Name of the table.
        rows: As they came.
        arrival_us: When they came, microseconds UTC.
        reasons: Why they were refused.

    Returns:
        The folder, and whether it was written now.
    """
    sink = pa.BufferOutputStream()
    parquet.write(rows, sink)
    data = sink.getvalue()
    digest = hashlib.sha256(data)
    digest.update(repr([sorted(reason.items()) for reason in reasons]).encode())
    folder = lake / "quarantine" / table / digest.hexdigest()[:16]
    if _is_complete(folder):
        return folder, False
    shutil.rmtree(folder, ignore_errors=True)
    with staged_folder(folder) as staged:
        (staged / ROWS).write_bytes(data)
        write_json(staged / "reasons.json", list(reasons))
        write_json(staged / FACTS, {"table": table, "rows": rows.num_rows, "arrival_us": arrival_us})
        write_manifest(staged)
    return folder, True


def _is_complete(folder: Path) -> bool:
    try:
        check_manifest(folder)
    except (NotFoundError, CorruptError):
        return False
    return True
