"""AutoML on one table: search over model families, parameters and preprocessing, then an ensemble; for scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.automl.estimators import HeadraceClassifier, HeadraceRegressor

__all__ = ["HeadraceClassifier", "HeadraceRegressor"]


def __getattr__(name: str) -> Any:
    """Import an estimator at its first use: scikit-learn and pandas take a second."""
    if name in __all__:
        from headrace.automl import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
