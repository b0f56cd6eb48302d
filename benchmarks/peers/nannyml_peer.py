"""NannyML's estimates of performance without labels: `PYTHON benchmarks/peers/nannyml_peer.py FOLDER`.

Reads reference.parquet and analysis.parquet (world, label, prediction, features) and writes estimates.json:
world -> metric -> value and its confidence bounds, by CBPE for probabilities and DLE for numbers.
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

NAMES = {"roc_auc": "auc", "f1": "f1", "accuracy": "accuracy", "rmse": "rmse", "mae": "mae"}


def estimates(reference: pd.DataFrame, analysis: pd.DataFrame, binary: bool) -> dict[str, list[float]]:
    """Return metric -> value, lower and upper bound, of the analysis rows as one chunk."""
    common = {"y_true": "label", "y_pred": "predicted", "chunk_size": len(analysis)}
    if binary:
        for side in (reference, analysis):
            side["predicted"] = (side["prediction"] >= 0.5).astype(int)
        metrics = ["roc_auc", "f1", "accuracy"]
        estimator = nannyml.CBPE(
            problem_type="classification_binary", y_pred_proba="prediction", metrics=metrics, **common
        )
    else:
        for side in (reference, analysis):
            side["predicted"] = side["prediction"]
        metrics = ["rmse", "mae"]
        features = [name for name in reference.columns if name.startswith("x")]
        estimator = nannyml.DLE(feature_column_names=features, metrics=metrics, tune_hyperparameters=False, **common)
    found = estimator.fit(reference).estimate(analysis.drop(columns="label")).filter(period="analysis").to_df()
    return {
        NAMES[metric]: [
            float(found[(metric, part)].iloc[0])
            for part in ("value", "lower_confidence_boundary", "upper_confidence_boundary")
        ]
        for metric in metrics
    }


def main() -> None:
    """Estimate every world of the folder."""
    folder = Path(sys.argv[1])
    sides = [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "analysis")]
    found = {}
    for world, reference in sides[0].groupby("world"):
        analysis = sides[1][sides[1]["world"] == world]
        binary = set(reference["label"].unique()) <= {0.0, 1.0}
        found[world] = estimates(reference.reset_index(drop=True), analysis.reset_index(drop=True), binary)
    (folder / "estimates.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
