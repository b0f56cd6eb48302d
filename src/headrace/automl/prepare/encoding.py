"""Out-of-fold target encoding of categories (Micci-Barreca, 2001), by scikit-learn's TargetEncoder.

The value of a training row comes from the other folds only, so it never depends on the row's own target. The value of a
later row comes from all training rows. The smoothing is empirical Bayes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.prepare.block import Matrix, Target

#: Folds of the encoding of training rows.
_FOLDS = 5
_MISSING = "\0missing"


class TargetEncoded:
    """Target encoding of category columns; one column a class for several classes.

    Args:
        columns: Category columns.
        suffix: Text after the column's name in `names`.
    """

    def __init__(self, columns: Sequence[str], *, suffix: str = "target") -> None:
        self.columns, self.suffix = list(columns), suffix
        self.names: tuple[str, ...] = ()

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Matrix:
        self._encoder = _encoder(target)
        encoded = self._encoder.fit_transform(_texts(frame[self.columns]), _encodable(target))
        width = encoded.shape[1] // max(len(self.columns), 1)
        ends = [""] if width == 1 else [f".{position}" for position in range(width)]
        self.names = tuple(f"{column}.{self.suffix}{end}" for column in self.columns for end in ends)
        return np.asarray(encoded, dtype=np.float32)

    def transform(self, frame: pd.DataFrame) -> Matrix:
        return np.asarray(self._encoder.transform(_texts(frame[self.columns])), dtype=np.float32)


def _encoder(target: Target) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    rarest = np.unique(target.label, return_counts=True)[1].min() if target.task.classification else 0
    splitter: Any = StratifiedKFold if rarest >= _FOLDS else KFold
    kind = {"binary": "binary", "multiclass": "multiclass"}.get(target.task.kind, "continuous")
    if kind == "multiclass" and len(np.unique(target.label)) == 2:
        kind = "binary"
    folds = splitter(min(_FOLDS, len(target.label)), shuffle=True, random_state=target.seed)
    return TargetEncoder(target_type=kind, cv=folds)


def _encodable(target: Target) -> Any:
    """Return the target as TargetEncoder takes it: whole numbers for classes."""
    return target.label.astype(np.int64) if target.task.classification else target.label


def _texts(frame: pd.DataFrame) -> Any:
    return frame.fillna(_MISSING).to_numpy(dtype=object)
