"""The fitted model of a search: cleaned table to weighted members, each a bag of the models of the folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.ensemble.calibration import Calibration
from headrace.automl.prepare.preparation import Preparation
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.fitting import FittedConfig
from headrace.models.design import Design
from headrace.models.space import Config

#: Rows that are predicted at a time: bounds the memory of design matrices.
_CHUNK = 50_000


@dataclass(frozen=True, kw_only=True)
class Member:
    """A configuration in an ensemble.

    Attributes:
        trial: Number of its trial.
        config: The configuration.
        weight: Its weight.
        parts: (key of a preparation, fitted model) of each fold, or one for all rows; their mean is its prediction.
    """

    trial: int
    config: Config
    weight: float
    parts: tuple[tuple[str, FittedConfig], ...]


@dataclass(frozen=True, kw_only=True)
class TableModel:
    """An ensemble that predicts rows of a table.

    Attributes:
        task: The task.
        cleaner: Columns of the table.
        preparations: Fitted preparations by key; members share them.
        members: The members; their weights sum to 1.
        calibration: Adjustment of the weighted mean.
        facts: What a model card says.
    """

    task: Task
    cleaner: Cleaner
    preparations: Mapping[str, Preparation]
    members: tuple[Member, ...]
    calibration: Calibration = field(default_factory=Calibration)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Predict rows of a table as users have them: [n, k], as in `task`.

        Raises:
            DataError: A column of the training table is missing.
        """
        return self.predict_cleaned(self.cleaner.transform(frame))

    def predict_cleaned(self, cleaned: pd.DataFrame) -> Floats:
        """Predict rows that the cleaner has converted: [n, k], as in `task`."""
        starts = range(0, max(len(cleaned), 1), _CHUNK)
        parts = [self._predict(cleaned.iloc[start : start + _CHUNK].reset_index(drop=True)) for start in starts]
        return np.concatenate(parts)

    def only(self, member: Member) -> TableModel:
        """Return the model of one member alone."""
        keys = {key for key, _ in member.parts}
        return TableModel(
            task=self.task,
            cleaner=self.cleaner,
            preparations={key: self.preparations[key] for key in keys},
            members=(Member(trial=member.trial, config=member.config, weight=1.0, parts=member.parts),),
            facts=self.facts,
        )

    def _predict(self, cleaned: pd.DataFrame) -> Floats:
        if not len(cleaned):
            return np.empty((0, self.task.n_outputs))
        designs: dict[str, Design] = {key: each.transform(cleaned) for key, each in self.preparations.items()}
        total = np.zeros((len(cleaned), self.task.n_outputs))
        for member in self.members:
            predictions = [fitted.predict(designs[key]) for key, fitted in member.parts]
            total += member.weight * np.mean(predictions, axis=0)
        return self.calibration.apply(total, self.task)
