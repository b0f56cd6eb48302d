"""A saved model bundle as a scikit-learn estimator over feature matrices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from headrace.core.errors import HeadraceError, NotFoundError
from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import Bundle
from headrace.registry.pyfunc import BundleModel

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]


class FittedModel(BaseEstimator):  # type: ignore[misc]
    """What estimators of bundles share: the bundle is loaded at first use, and nothing is fitted.

    Attributes:
        bundle: The model with its definitions, metrics and reference.
    """

    @property
    def bundle(self) -> Bundle:
        return self._model.bundle

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        """The columns of a feature matrix."""
        return np.array([one.slug for one in self.bundle.definitions], dtype=object)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Raise: the model was fitted by the pipeline."""
        raise HeadraceError("this model is fitted already", where="fit", fix="run the pipeline to fit another one")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_loaded"}

    @property
    def _model(self) -> BundleModel:
        if not hasattr(self, "_loaded"):
            self._loaded = BundleModel(self._location())
        return self._loaded

    def _location(self) -> Path:
        """The folder of the bundle."""
        raise NotImplementedError

    def _matrix(self, X: Any) -> pd.DataFrame:
        """The feature matrix of what `predict` was given."""
        raise NotImplementedError

    def _outputs(self, X: Any) -> Floats:
        return self._model.predict(self._matrix(X))


class BinaryModel(ClassifierMixin, FittedModel):  # type: ignore[misc]
    """A model of a label that is true or false.

    Attributes:
        threshold: Probability from which `predict` says True.
    """

    threshold: float

    @property
    def classes_(self) -> npt.NDArray[np.bool_]:
        """False and True."""
        return np.array([False, True])

    def predict_proba(self, X: Any) -> Floats:
        """Predict the probabilities of False and True [n, 2]."""
        true = self._outputs(X)
        return np.column_stack([1 - true, true])

    def predict(self, X: Any) -> npt.NDArray[np.bool_]:
        """Predict the label [n]."""
        return self._outputs(X) >= self.threshold


class NumberModel(RegressorMixin, FittedModel):  # type: ignore[misc]
    """A model of a label that is a number."""

    def predict(self, X: Any) -> Floats:
        """Predict the number [n]."""
        return self._outputs(X)


class MatrixModel(FittedModel):
    """A model whose input is a feature matrix.

    Attributes:
        folder: Folder of the bundle.
    """

    folder: str | Path

    def _location(self) -> Path:
        return Path(self.folder)

    def _matrix(self, X: Any) -> pd.DataFrame:
        matrix: pd.DataFrame = X
        return matrix


class ModelClassifier(BinaryModel, MatrixModel):
    """Predicts a label that is true or false from a feature matrix.

    Args:
        folder: Folder of the bundle.
        threshold: Probability from which `predict` says True.
    """

    def __init__(self, folder: str | Path, threshold: float = 0.5) -> None:
        self.folder = folder
        self.threshold = threshold


class ModelRegressor(NumberModel, MatrixModel):
    """Predicts a number from a feature matrix.

    Args:
        folder: Folder of the bundle.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder


def load_model(folder: str | Path) -> ModelClassifier | ModelRegressor:
    """Load a model as a scikit-learn estimator, whose input is a feature matrix.

    Args:
        folder: A bundle, such as `registry/PROBLEM/bundles/KEY` of a home, or a downloaded artifact of MLflow that
            contains one.

    Returns:
        A classifier or a regressor. `predict` and `predict_proba` take a data frame with a column per feature, named by
        slug, as `synthesize` returns it; further columns are ignored.

    Raises:
        NotFoundError: There is no bundle.
        CorruptError: A file differs from its checksum.
    """
    root = Path(folder)
    found = sorted(path.parent for path in root.rglob("bundle.json")) if root.is_dir() else []
    if not found and (root / "model.skops").exists():
        raise NotFoundError(
            "this is an ensemble of `headrace automl`",
            where=str(folder),
            fix="read it with headrace.automl.bundle.load_model",
        )
    if not found:
        raise NotFoundError(
            "no model bundle", where=str(folder), fix="name the folder that holds bundle.json and manifest.json"
        )
    bundle = Bundle.load(found[0])
    return ModelClassifier(found[0]) if METRICS[bundle.metric].binary else ModelRegressor(found[0])
