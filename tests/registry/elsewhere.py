"""Saving a model as `register` does, and predicting with it in a process that has no Headrace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import PREDICTION, Bundle, reference_profile
from headrace.models.design import Encoder
from headrace.models.families import get_family
from headrace.registry import models
from headrace.synthesis.language.definitions import RowColumn

#: Loads the models named on the command line, in order, and prints what each predicts for its reference rows.
SCRIPT = """
import json, sys
if "--no-headrace" in sys.argv:
    sys.modules["headrace"] = None  # whatever is installed: `import headrace` raises ModuleNotFoundError
import mlflow.pyfunc
import pyarrow.parquet as pq
answers = []
for folder in sys.argv[1].split(","):
    model = mlflow.pyfunc.load_model(folder)
    frame = pq.read_table(folder + "/data/bundle/reference.parquet").select(["amount", "channel"]).to_pandas()
    answers.append({"predictions": [float(value) for value in model.predict(frame)],
                    "loader": type(model._model_impl).__module__})
loaded = sorted(name for name in sys.modules if name.split(".")[0] == "headrace" and sys.modules[name] is not None)
print(json.dumps({"answers": answers, "headrace": loaded}))
"""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A model in a folder, and what the bundle itself predicts for its reference rows [n]."""

    folder: Path
    predictions: list[float]


def save(folder: Path, family: str, *, seed: int = 0) -> Saved:
    """A bundle of two columns, fitted by a family, saved as MLflow's model."""
    rng = np.random.default_rng(seed)
    matrix = pa.table(
        {
            "amount": pa.array([None if n % 7 == 0 else float(v) for n, v in enumerate(rng.normal(size=120))]),
            "channel": pa.array(
                [None if n % 11 == 0 else str(v) for n, v in enumerate(rng.choice(["web", "shop"], 120))]
            ),
        }
    )
    label = (rng.uniform(size=120) < 0.4).astype(np.float64)
    encoder, chosen = Encoder.fit(matrix), get_family(family)
    design, metric = encoder.encode(matrix), METRICS["auc"]
    fitted = chosen.fit(design, label, chosen.default(), metric=metric, rounds=5, seed=seed, threads=1)
    bundle = Bundle(
        problem="shop",
        service="shop_1",
        definitions=(RowColumn(column="amount", kind="numeric"), RowColumn(column="channel", kind="categorical")),
        encoder=encoder,
        family=family,
        fitted=fitted,
        config=chosen.default(),
        metric="auc",
        reference=reference_profile(matrix, label, fitted.predict(design)),
    )
    bundle.save(folder / "bundle")
    models._save(folder / "bundle", folder / "model")
    return Saved(folder=folder / "model", predictions=bundle.read_reference()[PREDICTION].to_pylist())


def predict_elsewhere(saved: Sequence[Saved], *options: str, python: str = sys.executable) -> dict[str, Any]:
    """What SCRIPT prints, run by an interpreter in isolated mode, from a folder without our sources."""
    command = [python, "-I", "-c", SCRIPT, ",".join(str(one.folder) for one in saved), *options]
    done = subprocess.run(command, cwd=saved[0].folder, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
