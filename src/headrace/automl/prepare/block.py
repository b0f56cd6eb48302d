"""The protocol of a block: it computes some columns of the design matrix from a cleaned table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from headrace.automl.task.task import Floats, Task

Matrix = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The target of the training rows, for blocks that encode by it.

    Attributes:
        label: As in `task` [n].
        task: The task.
        seed: Of random numbers.
    """

    label: Floats
    task: Task
    seed: int


class Block(Protocol):
    """Computes some columns of the design matrix. `names` exists after `fit_transform`."""

    names: tuple[str, ...]

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Matrix:
        """Fit on training rows [n] and return their columns [n, j].

        A block that uses the target returns out-of-fold values: those of a row never depend on its own target.
        """

    def transform(self, frame: pd.DataFrame) -> Matrix:
        """Return the columns of other rows [m, j]."""
