"""A model folder of `headrace automl` as MLflow's generic model; it loads where Headrace is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd


class TableBundleModel:
    """The model that MLflow calls with rows of the table."""

    def __init__(self, folder: Path) -> None:
        from headrace.automl.bundle import load_model

        self.model = load_model(folder)  # checks the manifest before it opens any other file

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> npt.NDArray[np.float64]:
        """Predict rows: [n] for two classes (of the second) and numbers, [n, k] for several classes and quantiles."""
        predicted = self.model.predict(model_input)
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted


def _load_pyfunc(data_path: str) -> TableBundleModel:
    """MLflow's entry point: `data_path` is the model folder."""
    return TableBundleModel(Path(data_path))
