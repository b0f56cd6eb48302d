"""NannyML's univariate drift tests: `PYTHON benchmarks/peers/nannyml_drift.py FOLDER`.

Reads reference.parquet and analysis.parquet (case, features) and writes drift.json: case -> features that its default
method and threshold call drifted. The reference is cut into chunks as long as the window, since NannyML sets the
threshold of some methods by their scatter.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
for switch in ("NML_DISABLE_USAGE_LOGGING", "NML_DISABLE_USER_ANALYTICS"):  # it reports its use to its authors
    os.environ[switch] = "1"

import nannyml  # noqa: E402
import pandas as pd  # noqa: E402


def drifted(reference: pd.DataFrame, analysis: pd.DataFrame) -> list[str]:
    """Return the features of which the whole analysis, as one chunk, is called drifted."""
    names = [name for name in reference.columns if name.startswith("x")]
    calculator = nannyml.UnivariateDriftCalculator(column_names=names, chunk_size=len(analysis))
    found = calculator.fit(reference[names]).calculate(analysis[names]).filter(period="analysis").to_df()
    alerts = found.xs("alert", axis=1, level=2)
    return sorted({name for name, _ in alerts.columns if bool(alerts[name].to_numpy().any())})


def main() -> None:
    """Test every case of the folder."""
    folder = Path(sys.argv[1])
    sides = [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "analysis")]
    found = {
        str(case): drifted(reference.reset_index(drop=True), sides[1][sides[1]["case"] == case].reset_index(drop=True))
        for case, reference in sides[0].groupby("case")
    }
    (folder / "drift.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
