"""NannyML's drift tests in the worlds of dependent rows, on the windows that Headrace's are compared on.

NannyML lives in an environment of its own (`make .venv-nannyml/.installed`), because it needs other versions.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.drift_worlds import COLUMNS, NAMES, Check, tables_of
from benchmarks.results import Row
from headrace.core import parquet
from tests.monitor.dependent_world import WORLDS, draw

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".venv-nannyml" / "bin" / "python"
NOTE = (
    "NannyML 0.13, its default method (Jensen-Shannon distance) and threshold for each feature, on the windows of"
    " 1,000 rows of the worlds above. A false alarm is any of ten features in a window; .25 standard deviations are"
    " planted in the first feature. It takes rows as independent, and its threshold comes from the scatter of the five"
    " chunks of 1,000 rows that the reference has."
)


def nannyml_rows(windows: int, command: str) -> list[Row]:
    """Rows of false alarms and of detected shifts by NannyML, for each world.

    Args:
        windows: of each world, without drift and with a shift.
        command: that makes the rows.
    """
    cases = {
        f"{world}/{size:g}/{seed}": Check(seed if not size else 10_000 + seed, world, 1_000, size)
        for world in WORLDS
        for size in (0.0, 0.25)
        for seed in range(windows)
    }
    found = _drifted(cases)
    rows = []
    for world in WORLDS:
        still = [bool(found[f"{world}/0/{seed}"]) for seed in range(windows)]
        hits = [NAMES[0] in found[f"{world}/0.25/{seed}"] for seed in range(windows)]
        for name, values in (("NannyML, alarms", still), (".25 sd, NannyML, found", hits)):
            share = 100 * float(np.mean(values))
            rows.append(Row(metric=f"{world}: {name} in {windows} windows", value=share, unit="%", command=command))
    return rows


def _drifted(cases: dict[str, Check]) -> dict[str, list[str]]:
    """Case -> features that NannyML calls drifted."""
    sides: tuple[list[pa.Table], list[pa.Table]] = ([], [])
    for case, check in cases.items():
        rng = np.random.default_rng([check.seed, check.rows, check.weeks, len(check.world)])
        sample = draw(rng, check.world, rows=check.rows, columns=COLUMNS, weeks=check.weeks)
        for side, table in zip(sides, tables_of(check, sample), strict=True):
            side.append(table.select(NAMES).append_column("case", pa.array([case] * table.num_rows)))
    with tempfile.TemporaryDirectory() as folder:
        for name, tables in zip(("reference", "analysis"), sides, strict=True):
            parquet.write(pa.concat_tables(tables), Path(folder) / f"{name}.parquet")
        subprocess.run([PEER, ROOT / "benchmarks" / "peers" / "nannyml_drift.py", folder], check=True, cwd=folder)
        found: dict[str, list[str]] = json.loads((Path(folder) / "drift.json").read_text())
    return found
