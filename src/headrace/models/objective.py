"""The objective of a study: fit a config on the training rows of each fold, and return its mean validation loss.

The data is written once, as .npy files that every worker process maps into memory; a worker receives a path and a few
numbers. A trial reports its loss at rungs of equal fidelity: fitted on a subset of the last fold's rows with a few
large steps, then on all folds at some rounds (`models.rounds`), or, where the family has no rounds, after each fold
but the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DeclarationError
from headrace.core.extensions import Handed
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.evaluate.metrics import METRICS, Metric, require_finite
from headrace.evaluate.splits import Fold
from headrace.models.cache import FoldCache
from headrace.models.callback import NoCallback, TrialCallback
from headrace.models.design import Design
from headrace.models.families import split_config
from headrace.models.families.protocol import Family, Label, Learner, Rows
from headrace.models.log_scale import fitting_label, fitting_metric
from headrace.models.rounds import RoundsResult, boost, find_rounds
from headrace.models.space import Config
from headrace.problems.catalogue import restore

#: Rungs of a fit on all rows, as progress (see Family.rounds_at).
_PROGRESS = (1.6, 3.2)
#: Fewest rows of a subset that serves as a rung.
_MIN_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class TrialObjective:
    """Maps a config of `families.study_space()` to its loss. Picklable; identified by its data, not by its folder.

    Attributes:
        folder: Folder that `prepare` wrote.
        digest: Digest that `prepare` returned.
        metric: Name of the metric.
        seed: Of the families and of the row samples.
        row_cap: Largest number of training rows of a fold. The best config on a small sample need not be the best on
            all rows (docs/search.md).
        shares: Shares of the training rows that are fitted first, as rungs for racing; empty without racing.
        threads: Threads of a trial (1 where trials run in parallel).
        handed: The families that the problem declares itself, for worker processes.
    """

    folder: Path
    digest: str
    metric: str
    seed: int
    row_cap: int = 100_000
    shares: tuple[float, ...] = ()
    threads: int = 1
    handed: tuple[Handed, ...] = ()

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise DeclarationError(f"no metric {self.metric!r}", where="objective", found=METRICS)
        if self.row_cap < 1 or not all(0 < share < 1 for share in self.shares):
            raise DeclarationError(
                "row_cap must be at least 1, and each share between 0 and 1", where="objective", found=self.shares
            )

    def fingerprint(self) -> dict[str, Any]:
        """Return what losses and rungs depend on: the data and the settings, not the folder."""
        return {
            "data": self.digest,
            "metric": self.metric,
            "seed": self.seed,
            "row_cap": self.row_cap,
            "shares": self.shares,
        }

    def __call__(self, config: Config) -> Mapping[str, Any]:
        """Evaluate a config without a callback."""
        return self.evaluate_rungs(config, NoCallback())

    def evaluate_rungs(self, config: Config, callback: TrialCallback) -> Mapping[str, Any]:
        """Evaluate a config and report its loss at each rung.

        Returns:
            {"loss": lower is better, "value": the metric, "rounds": boosting rounds or None, "train_rows"}.
        """
        restore(self.handed)
        metric = METRICS[self.metric]
        family, family_config = split_config(config)
        folds = _load_folds(self)
        trial = _ConfigTrial(
            family=family, metric=fitting_metric(metric), seed=self.seed, threads=self.threads, callback=callback
        )
        for share in self.shares:
            trial.evaluate_subset(folds[-1], family_config, share)
        result = trial.learn(folds, family_config)
        return {
            "loss": result.loss,
            "value": -metric.sign * result.loss,
            "rounds": result.rounds,
            "train_rows": len(folds[-1].train),
        }


@dataclass(frozen=True, kw_only=True)
class _ConfigTrial:
    """Fits one config and reports its losses."""

    family: Family
    metric: Metric
    seed: int
    threads: int
    callback: TrialCallback

    def evaluate_subset(self, fold: LoadedFold, config: Config, share: float) -> None:
        """Fit a subset of the rows with coarse steps, up to the first rung of a full fit, and report its loss.

        A family without rounds has no steps to save: it fits half of the subset.
        """
        config = self.family.with_coarse_steps(config)
        rounds = self.family.rounds_at(config, _PROGRESS[0])
        fraction = share if rounds is not None else share / 2
        if fraction * len(fold.train) < _MIN_ROWS:
            return
        learner = self._learner(fold, config, rows=fold.part(fraction, self.seed))
        curve = boost([learner], max_rounds=rounds, callback=self.callback)
        self.callback.on_rung(f"{self.family.name}, {fraction:.0%} of the rows", curve.loss)

    def learn(self, folds: Sequence[LoadedFold], config: Config) -> RoundsResult:
        """Fit all folds. The loss is that of the learners: predicting the rows again would cost a sixth of a fit."""
        rungs = {
            self.family.rounds_at(config, progress): f"{self.family.name}, progress {progress:g}"
            for progress in _PROGRESS
        }
        return find_rounds(
            self.family, config, lambda family_config: [self._learner(fold, family_config) for fold in folds],
            callback=self.callback, rungs=rungs,
        )  # fmt: skip

    def _learner(self, fold: LoadedFold, config: Config, rows: Rows | None = None) -> Learner:
        return self.family.learner(
            fold.train, fold.train_label, (fold.valid, fold.label), config, metric=self.metric, seed=self.seed,
            threads=self.threads, rows=rows, cache=fold.cache,
        )  # fmt: skip


def prepare(folder: Path, design: Design, label: Label, folds: Sequence[Fold]) -> str:
    """Write the arrays of a study into a folder.

    Args:
        folder: Where to write; created where it does not exist.
        design: All rows [n, d].
        label: Labels [n].
        folds: (train rows, validation rows) of each fold.

    Returns:
        The digest of their content.

    Raises:
        DataError: A label is NaN or infinite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    y = require_finite(label, "label")
    arrays: dict[str, NDArray[Any]] = {"X": design.X, "label": y}
    for number, (train, valid) in enumerate(folds):
        arrays |= {f"train_{number}": train, f"valid_{number}": valid}
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    digests = {name: file_digest(folder / f"{name}.npy") for name in arrays}
    columns = {"names": list(design.names), "categorical": list(design.categorical), "folds": len(folds)}
    write_json(folder / "columns.json", columns)
    return fingerprint({"arrays": digests, "columns": columns})


@dataclass(frozen=True, kw_only=True)
class LoadedFold:
    """One fold in memory, cached by a worker process for all its trials."""

    train: Design
    train_label: Label
    valid: Design
    label: Label
    cache: FoldCache

    def part(self, share: float, seed: int) -> Rows:
        """Sample a share of the training rows; the rows of a smaller share are a subset of those of a larger one."""
        order = np.random.default_rng(seed).permutation(len(self.train))
        return np.sort(order[: round(share * len(order))])


@lru_cache(maxsize=1)
def _load_folds(objective: TrialObjective) -> tuple[LoadedFold, ...]:
    columns = read_json(objective.folder / "columns.json")
    X, label = (np.load(objective.folder / f"{name}.npy", mmap_mode="r") for name in ("X", "label"))
    design = Design(X=X, names=tuple(columns["names"]), categorical=tuple(columns["categorical"]))
    return tuple(_load_fold(objective, design, label, number) for number in range(int(columns["folds"])))


def _load_fold(objective: TrialObjective, design: Design, label: Label, number: int) -> LoadedFold:
    train, valid = (np.load(objective.folder / f"{name}_{number}.npy") for name in ("train", "valid"))
    if len(train) > objective.row_cap:
        sampled = np.random.default_rng(objective.seed).choice(len(train), objective.row_cap, replace=False)
        train = train[np.sort(sampled)]
    cache = objective.folder / f"kept_{number}_{objective.row_cap}_{objective.seed}"
    cache.mkdir(exist_ok=True)
    return LoadedFold(
        train=design.rows(train),
        train_label=fitting_label(METRICS[objective.metric], np.array(label[train])),
        valid=design.rows(valid),
        label=fitting_label(METRICS[objective.metric], np.array(label[valid])),
        cache=FoldCache(cache),
    )
