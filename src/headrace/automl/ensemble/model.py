"""The fitted model of a search: cleaned table to weighted members, each a bag of the models of the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.ensemble.calibration import Calibration
from headrace.automl.ensemble.columns import with_predictions
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
        whole: One for all rows beside those of the folds: its prediction counts as much as their mean; None without.
        inputs: Trials of the members whose predictions are further columns of a member of the second level
            (`ensemble.stacking`); they stand before it, some with weight 0.
    """

    trial: int
    config: Config
    weight: float
    parts: tuple[tuple[str, FittedConfig], ...]
    whole: tuple[str, FittedConfig] | None = None
    inputs: tuple[int, ...] = ()

    @property
    def fitted(self) -> tuple[tuple[str, FittedConfig], ...]:
        """All its fitted models with the keys of their preparations."""
        return self.parts if self.whole is None else (*self.parts, self.whole)


@dataclass(frozen=True, kw_only=True)
class TableModel:
    """An ensemble that predicts rows of a table.

    Attributes:
        task: The task.
        cleaner: Columns of the table.
        preparations: Fitted preparations by key; members share them.
        members: The members; their weights sum to 1.
        calibration: Adjustment of the weighted mean.
        offset: What is added to predicted numbers.
        facts: What a model card says.
    """

    task: Task
    cleaner: Cleaner
    preparations: Mapping[str, Preparation]
    members: tuple[Member, ...]
    calibration: Calibration = field(default_factory=Calibration)
    offset: float = 0.0
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
        """Return the model of one member alone, with the members that it needs."""
        needed = [replace(other, weight=0.0) for other in self.members if other.trial in member.inputs]
        members = (*needed, replace(member, weight=1.0))
        keys = {key for each in members for key, _ in each.fitted}
        return TableModel(
            task=self.task, cleaner=self.cleaner, preparations={key: self.preparations[key] for key in keys},
            members=members, offset=self.offset, facts=self.facts,
        )  # fmt: skip

    def _predict(self, cleaned: pd.DataFrame) -> Floats:
        if not len(cleaned):
            return np.empty((0, self.task.n_outputs))
        designs: dict[str, Design] = {key: each.transform(cleaned) for key, each in self.preparations.items()}
        total, predicted = np.zeros((len(cleaned), self.task.n_outputs)), dict[int, Floats]()
        for member in self.members:
            predicted[member.trial] = self._predict_member(member, designs, [predicted[n] for n in member.inputs])
            total += member.weight * predicted[member.trial]
        return self.calibration.apply(total, self.task) + self.offset

    def _predict_member(self, member: Member, designs: Mapping[str, Design], inputs: Sequence[Floats]) -> Floats:
        predictions = []
        for key, fitted in member.fitted:
            design = with_predictions(designs[key], inputs, self.task) if inputs else designs[key]
            predictions.append(fitted.predict(design))
        bag = np.mean(predictions[: len(member.parts)], axis=0)
        mean = bag if member.whole is None else (bag + predictions[-1]) / 2
        return np.asarray(mean, dtype=np.float64)
