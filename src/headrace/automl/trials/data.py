"""The data of a search in one file, which every worker process reads once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from headrace.automl.families.protocol import Rows
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.space import HALF_LIVES
from headrace.automl.validation.folds import TableFold
from headrace.core.fingerprint import file_digest
from headrace.models.design import Design

_FILE = "data.joblib"


@dataclass(frozen=True, kw_only=True)
class SearchData:
    """The data of a search.

    Attributes:
        frame: Cleaned rows [n, d].
        label: Labels [n].
        weight: Sample weights [n] or None.
        folds: Their folds.
        cleaner: Columns of the table.
        task: The task.
        without_trend: Date columns whose trend is left out.
        time_rank: Rank in time of each row [n], where folds are ordered by time; else None. Rows without a time are
            the first.
    """

    frame: pd.DataFrame
    label: Floats
    weight: Floats | None
    folds: tuple[TableFold, ...]
    cleaner: Cleaner
    task: Task
    without_trend: tuple[str, ...] = ()
    time_rank: NDArray[np.int64] | None = None

    @property
    def ordered(self) -> bool:
        """Whether rows are ordered by time."""
        return self.time_rank is not None

    @property
    def valid_rows(self) -> Any:
        """Rows of all folds that are validated, in the order of out-of-fold predictions."""
        return np.concatenate([fold.valid for fold in self.folds])

    @property
    def valid_weights(self) -> Floats | None:
        """Weights of `valid_rows` in a loss [m]: sample weight times weight of the fold; None where all are 1."""
        of_folds = np.concatenate([np.full(len(fold.valid), fold.weight) for fold in self.folds])
        of_rows = self.weights(self.valid_rows)
        if of_rows is not None:
            return np.asarray(of_rows * of_folds, dtype=np.float64)
        return None if (of_folds == 1).all() else of_folds

    def weights(self, rows: Any) -> Floats | None:
        """Return the sample weights of some rows."""
        return None if self.weight is None else self.weight[rows]


def write_data(folder: Path, data: SearchData) -> str:
    """Write the data and return its digest."""
    import joblib  # type: ignore[import-untyped]

    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(data, folder / _FILE)
    return file_digest(folder / _FILE)


def data_digest(folder: Path) -> str:
    """Return the digest of the data of a search."""
    return file_digest(folder / _FILE)


@lru_cache(maxsize=1)
def read_data(folder: Path, digest: str) -> SearchData:
    """Read the data that `write_data` wrote; once per process."""
    import joblib

    data: SearchData = joblib.load(folder / _FILE)
    return data


def encodable_label(data: SearchData, rows: Any) -> Floats:
    """Return the labels that a preparation encodes by: logarithms for a relative metric."""
    label: Floats = data.label[rows]
    return np.asarray(np.log1p(label), dtype=np.float64) if data.task.metric == "rmsle" else label


def fold_rows(data: SearchData, design: Design, rows: Any) -> Rows:
    """Return a design matrix with labels and weights."""
    return Rows(design=design, label=data.label[rows], weight=data.weights(rows))


def training_rows(data: SearchData, design: Design, rows: Any, config: Mapping[str, Any]) -> Rows:
    """Return a design matrix with labels, and with the weights that a config gives to the rows.

    With a `half_life`, the weight of a row halves with every such share of newer training rows (a gradual forgetting of
    the old; Koychev, 2000).
    """
    found = fold_rows(data, design, rows)
    half_life = HALF_LIVES[str(config.get("half_life", "none"))]
    if data.time_rank is None or math.isinf(half_life):
        return found
    from scipy.stats import rankdata

    newer = 1 - rankdata(data.time_rank[rows]) / len(rows)
    recency = 0.5 ** (newer / half_life)
    recency /= recency.mean()
    return replace(found, weight=recency if found.weight is None else recency * found.weight)
