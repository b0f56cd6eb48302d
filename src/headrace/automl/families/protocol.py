"""The protocol of model families for tables: several classes, quantiles, weights and a deadline.

`headrace.models.families` holds those of the pipeline, which predict one number; spaces are shared where a model is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.automl.task.task import Floats, Task
from headrace.models.design import Design
from headrace.models.space import Config, Space


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows to train or validate on.

    Attributes:
        design: Design matrix [n, d].
        label: As in `task` [n].
        weight: Sample weights [n], None for equal ones.
    """

    design: Design
    label: Floats
    weight: Floats | None = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What a fit needs besides rows and config.

    Attributes:
        task: The task.
        seed: Of all random numbers.
        threads: Threads of the fit.
        deadline: Instant of `time.monotonic` at which boosting ends early.
        rounds: Boosting rounds; None to stop early by the validation rows.
        loss: "absolute" for metrics of the median, else "squared"; of a regression only.
    """

    task: Task
    seed: int = 0
    threads: int = 1
    deadline: float = float("inf")
    rounds: int | None = None
    loss: str = "squared"


class FittedTable(Protocol):
    """A trained model. `rounds` is its number of boosting rounds, None where the family has none."""

    @property
    def rounds(self) -> int | None: ...

    def predict(self, design: Design) -> Floats:
        """Predict [n, k], as in `task`."""


class TableFamily(Protocol):
    """A kind of model for tables."""

    name: str
    #: Module that it imports; a family whose module is missing is left out.
    module: str

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        """Return why it cannot be used for such a table; "" where it can."""

    def space(self, task: Task) -> Space:
        """Return the space of its parameters, those of its preparation (`prepare.preparation.PARAMETERS`) included."""

    def default(self) -> Config:
        """Return its default config."""

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedTable:
        """Fit a model.

        Args:
            train: Training rows.
            valid: Rows for early stopping; None where `fit.rounds` is given.
            config: Parameters of `space`.
            fit: Task, seed, threads, deadline.
        """


def positive_column(probabilities: Any, task: Task) -> Floats:
    """Return probabilities [n, classes] as predictions [n, k]: the second class alone of a binary task."""
    p = np.asarray(probabilities, dtype=np.float64)
    return p[:, 1:2] if task.kind == "binary" else p


def as_columns(numbers: Any) -> Floats:
    """Return predictions [n] or [n, k] as [n, k]."""
    values = np.asarray(numbers, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values


def categorical_frame(design: Design) -> NDArray[np.object_]:
    """Return a design as an object matrix [n, d] whose codes are whole numbers, -1 for missing; for CatBoost."""
    X = design.X.astype(object)
    for position in design.categorical:
        codes = design.X[:, position]
        X[:, position] = np.where(np.isnan(codes), -1, codes).astype(np.int64)
    return X
