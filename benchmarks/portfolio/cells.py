"""One cell of the matrix: a configuration cross-validated on a data set, its predictions stored compactly.

Predictions of numbers are stored in standard deviations of the label, so that half precision holds them.
"""

from __future__ import annotations

import io
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.portfolio.tables import Divided
from headrace.automl.families.protocol import Fit
from headrace.automl.prepare.block import Target
from headrace.automl.prepare.preparation import Preparation, PreparationSpec
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats
from headrace.automl.trials.data import encodable_label, fold_rows
from headrace.automl.trials.fitting import fit_config, split_table_config
from headrace.automl.trials.space import adapted
from headrace.core.files import write_bytes
from headrace.models.design import Design
from headrace.models.space import Config

#: Seconds after which the boosting of a fold ends.
FOLD_S = 20.0
_CACHED = 30


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A result.

    Attributes:
        loss: Of the pooled out-of-fold predictions; NaN where the configuration failed.
        test_loss: Of the mean prediction of the folds' models on the test rows.
        fold_losses: Of each fold.
        seconds: CPU time of the fits and predictions.
        prepare_s: CPU time of the preparation; 0 where it was cached.
        predictions: Out-of-fold predictions [n, k], in the order of the folds' validation rows, half precision.
        test: Mean prediction of the folds' models for the test rows [n, k], half precision.
        error: Why it failed; "" otherwise.
    """

    loss: float
    test_loss: float
    fold_losses: Any
    seconds: float
    prepare_s: float
    predictions: Any
    test: Any
    error: str = ""

    def write(self, path: Path) -> None:
        """Write it atomically."""
        data = io.BytesIO()
        np.savez_compressed(data, **{name: np.asarray(value) for name, value in vars(self).items()})
        write_bytes(path, data.getvalue())

    @classmethod
    def read(cls, path: Path) -> Cell:
        """Read what `write` wrote."""
        with np.load(path) as stored:
            numbers = {name: float(stored[name]) for name in ("loss", "test_loss", "seconds", "prepare_s")}
            arrays = {name: stored[name] for name in ("fold_losses", "predictions", "test")}
            return cls(**numbers, **arrays, error=str(stored["error"]))


@dataclass(kw_only=True)
class Evaluator:
    """Evaluates configurations on one data set; preparations of its folds are cached."""

    data: Divided
    prepared: OrderedDict[tuple[int, PreparationSpec], tuple[Design, Design, Design]] = field(
        default_factory=OrderedDict
    )

    def evaluate(self, config: Config) -> Cell:
        """Cross-validate a configuration; one that fails gives a cell with the error."""
        try:
            return self._evaluate(adapted(config, self.data.search.task, self.data.search.label))
        except Exception as error:
            return _failed(f"{type(error).__name__}: {error}", len(self.data.search.folds))

    def _evaluate(self, config: Config) -> Cell:
        search, metric = self.data.search, metric_of(self.data.search.task)
        spec = split_table_config(config)[2]
        started = time.process_time()
        designs = [self._designs(number, spec) for number in range(len(search.folds))]
        prepare_s, started = time.process_time() - started, time.process_time()
        valid, test, losses = [], [], []
        for number, (fold, (train, validated, tested)) in enumerate(zip(search.folds, designs, strict=True)):
            fit = Fit(task=search.task, seed=number, threads=1, deadline=time.monotonic() + FOLD_S)
            rows = fold_rows(search, train, fold.train), fold_rows(search, validated, fold.valid)
            model = fit_config(config, *rows, fit)
            valid.append(model.predict(validated))
            test.append(model.predict(tested))
            losses.append(metric.loss(search.label[fold.valid], valid[-1], None, search.task))
        seconds = time.process_time() - started
        pooled, mean = np.concatenate(valid), np.mean(test, axis=0)
        return Cell(
            loss=metric.loss(search.label[search.valid_rows], pooled, None, search.task),
            test_loss=metric.loss(self.data.test_label, mean, None, search.task),
            fold_losses=np.asarray(losses), seconds=seconds, prepare_s=prepare_s if prepare_s > 0.01 else 0.0,
            predictions=self._compact(pooled), test=self._compact(mean),
        )  # fmt: skip

    def _compact(self, predictions: Floats) -> Any:
        search = self.data.search
        if search.task.kind == "regression":
            predictions = (predictions - search.label.mean()) / search.label.std()
        return predictions.astype(np.float16)

    def _designs(self, number: int, spec: PreparationSpec) -> tuple[Design, Design, Design]:
        """Return the prepared training, validation and test rows of a fold."""
        key = number, spec
        if key not in self.prepared:
            search, fold = self.data.search, self.data.search.folds[number]
            preparation = Preparation(spec, search.cleaner)
            target = Target(label=encodable_label(search, fold.train), task=search.task, seed=0)
            train = preparation.fit_transform(search.frame.iloc[fold.train].reset_index(drop=True), target)
            valid = preparation.transform(search.frame.iloc[fold.valid].reset_index(drop=True))
            self.prepared[key] = train, valid, preparation.transform(self.data.test)
        while len(self.prepared) > _CACHED:
            self.prepared.popitem(last=False)
        return self.prepared[key]


def _failed(error: str, folds: int) -> Cell:
    nothing = np.zeros((0, 1), dtype=np.float16)
    return Cell(
        loss=np.nan, test_loss=np.nan, fold_losses=np.full(folds, np.nan), seconds=0.0, prepare_s=0.0,
        predictions=nothing, test=nothing, error=error,
    )  # fmt: skip
