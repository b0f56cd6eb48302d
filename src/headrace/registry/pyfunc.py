"""A model bundle as MLflow's generic model: `mlflow.pyfunc.load_model("models:/flights@champion")`.

MLflow would store a `python_model` object as a pickle. This loader stores the bundle folder unchanged, and the modules
that prediction needs as source under a name of their own (`registry.packaged_code`). Headrace itself never runs a
model's copy: it loads the bundle with its own code.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.models.bundle import Bundle

if TYPE_CHECKING:
    import pandas as pd


#: The module of a registered model's code that makes its extensions known (`registry.packaged_code`).
EXTENSIONS = "carried_extensions"


class BundleModel:
    """The model that MLflow calls with a feature matrix: one column per feature slug, one prediction per row."""

    def __init__(self, folder: Path) -> None:
        # Loading checks the manifest before it opens any other file.
        self.bundle = Bundle.load(folder)

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> npt.NDArray[np.float64]:
        """Predict probabilities, or numbers for regression [n]. Extra columns are ignored, NaN is missing."""
        return np.asarray(self.bundle.predict(self._matrix(model_input)), dtype=np.float64)

    def _matrix(self, frame: pd.DataFrame) -> pa.Table:
        kinds = {item.slug: item.kind for item in self.bundle.definitions}
        missing = [name for name in kinds if name not in frame.columns]
        if missing:
            raise DataError("columns are missing", where="model input", found=missing, fix="see the model's signature")
        columns = {}
        for name, kind in kinds.items():
            values = frame[name]
            if kind == "categorical":
                columns[name] = pa.array(values.astype(object), type=pa.string(), from_pandas=True)
            else:
                columns[name] = pa.array(values.astype("float64"), type=pa.float64(), from_pandas=True)
        return pa.table(columns)


def _load_pyfunc(data_path: str) -> BundleModel:
    """MLflow's entry point: `data_path` is the bundle folder. A family that the model carries is made known first."""
    carried = f"{__name__.partition('.')[0]}.{EXTENSIONS}"
    if importlib.util.find_spec(carried) is not None:
        importlib.import_module(carried)
    return BundleModel(Path(data_path))
