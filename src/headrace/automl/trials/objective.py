"""The objective of a search: cross-validate a configuration, fold by fold, and store its out-of-fold predictions.

Each fold but the last is a rung, so that racing stops a bad configuration after one fold. Boosting stops early by the
fold's validation rows, and at the trial's share of the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace.automl.families.protocol import Fit
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import Floats
from headrace.automl.trials.data import SearchData, fold_rows, read_data, training_rows
from headrace.automl.trials.fitting import FittedConfig, fit_config, split_table_config
from headrace.automl.trials.prepared import prepared_fold
from headrace.core.fingerprint import fingerprint
from headrace.models.callback import NoCallback, TrialCallback
from headrace.models.space import Config


@dataclass(frozen=True, kw_only=True)
class TableObjective:
    """Maps a config of the joint space to its out-of-fold loss. Picklable.

    Attributes:
        folder: Folder of the data and the results.
        digest: Digest of the data.
        seed: Of all random numbers.
        threads: Threads of a fit.
        deadline: Instant of `time.monotonic` at which the search ends.
        trial_s: Time of one trial after which its boosting ends.
        full: Fingerprints of configs that racing does not stop, as long as all folds take less than `full_s`: the
            first of each family, because an ensemble gains from a family that is worse alone.
        full_s: Seconds.
    """

    folder: Path
    digest: str
    seed: int = 0
    threads: int = 1
    deadline: float = math.inf
    trial_s: float = math.inf
    full: frozenset[str] = frozenset()
    full_s: float = math.inf

    def fingerprint(self) -> dict[str, Any]:
        """Return what losses depend on where time is unlimited."""
        return {"data": self.digest, "seed": self.seed}

    def __call__(self, config: Config) -> Mapping[str, Any]:
        """Evaluate a config without a callback."""
        return self.evaluate_rungs(config, NoCallback())

    def evaluate_rungs(self, config: Config, callback: TrialCallback) -> Mapping[str, Any]:
        """Evaluate a config and report its loss after each fold.

        Returns:
            {"loss", "rounds": of each fold, "prepare_us" and "predict_us": microseconds a row of the preparation and of
            the model, "file": name of the stored result}.
        """
        data = read_data(self.folder, self.digest)
        metric, losses, predictions, fitted = metric_of(data.task), [], [], []
        predict_s = prepare_s = 0.0
        in_full, started = fingerprint(config) in self.full, time.monotonic()
        for number, fold in enumerate(data.folds):
            part, predicted, (prepared_s, predicted_s) = self._fold(config, data, number)
            losses.append(metric.loss(data.label[fold.valid], predicted, data.weights(fold.valid), data.task))
            predictions.append(predicted)
            fitted.append(part)
            prepare_s += prepared_s
            predict_s += predicted_s
            if in_full and number == 0:
                in_full = (time.monotonic() - started) * len(data.folds) <= self.full_s
            if number + 1 < len(data.folds) and not in_full:
                callback.on_rung(f"fold {number + 1}", _mean_loss(losses, data))
        callback.on_round(_mean_loss(losses, data))
        rows = data.valid_rows
        pooled = metric.loss(data.label[rows], np.concatenate(predictions), data.valid_weights, data.task)
        return {
            "loss": pooled,
            "rounds": [part.fitted.rounds for part in fitted],
            "prepare_us": 1e6 * prepare_s / len(rows),
            "predict_us": 1e6 * predict_s / len(rows),
            "file": self._store(config, np.concatenate(predictions), fitted),
        }

    def _fold(self, config: Config, data: SearchData, number: int) -> tuple[FittedConfig, Floats, tuple[float, float]]:
        """Return the fitted fold, its predictions for the validation rows, and seconds: to prepare, to predict them."""
        spec = split_table_config(config)[2]
        prepared = prepared_fold(self.folder, self.digest, number, spec, self.seed)
        until = min(time.monotonic() + self.trial_s / len(data.folds), self.deadline)
        fold = data.folds[number]
        fit = Fit(task=data.task, seed=self.seed + number, threads=self.threads, deadline=until)
        train = training_rows(data, prepared.train, fold.train, config)
        part = fit_config(config, train, fold_rows(data, prepared.valid, fold.valid), fit)
        started = time.perf_counter()
        predicted = part.predict(prepared.valid)
        return part, predicted, (prepared.seconds, time.perf_counter() - started)

    def _store(self, config: Config, predictions: Floats, fitted: list[FittedConfig]) -> str:
        import joblib  # type: ignore[import-untyped]

        name = fingerprint(config)[:16]
        np.save(self.folder / f"{name}.npy", predictions.astype(np.float32))
        joblib.dump(fitted, self.folder / f"{name}.joblib")
        return name


def _mean_loss(losses: Sequence[float], data: SearchData) -> float:
    """Return the mean loss of the first folds, by the weights of their rows."""
    weights = [fold.weight * len(fold.valid) for fold in data.folds[: len(losses)]]
    return float(np.average(losses, weights=weights))
