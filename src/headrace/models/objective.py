"""What a study minimises: learn one config on the training rows of each fold, measure it on the validation rows.

The data is written once, as .npy files that every worker process maps into memory; what travels to a worker is a path
and a few numbers. On its way a trial tells its watch how it is doing, at rungs where trials have spent alike: fitted
on a part of the last fold's rows for a few large steps, then on all folds at some rounds (`models.rounds`), or, where
the family has no rounds, after each fold but the last.
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
from headrace.models.design import Design
from headrace.models.families import split_config
from headrace.models.families.protocol import Family, Label, Learner, Rows
from headrace.models.kept import Kept
from headrace.models.rounds import Learnt, boosted, learnt
from headrace.models.space import Config
from headrace.models.watch import Unwatched, Watch
from headrace.problems.catalogue import restore

#: Rungs of a fit on all rows, as progress (see Family.rounds_at).
_PROGRESS = (1.6, 3.2)
#: A part of the rows smaller than this tells nothing.
_LEAST_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class TrialObjective:
    """config of `families.study_space()` -> loss and facts. Picklable, and equal by content, not by where it lies.

    folder, digest: of `prepare`. row_cap: at most so many train rows a fold; what wins on a small part of them need not
    win on all (docs/search.md). shares: parts of them to be fitted on first, as rungs of a race (see _Trial.try_part);
    none where nobody races. threads: of one trial (1 beside other workers). handed:
    the problem's own families, which a worker process has to find.
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
            raise DeclarationError("a cap below one row, or a share that is not between 0 and 1", where="objective")

    def fingerprint(self) -> dict[str, Any]:
        """What losses and rungs depend on: the data, not the folder."""
        return {
            "data": self.digest,
            "metric": self.metric,
            "seed": self.seed,
            "row_cap": self.row_cap,
            "shares": self.shares,
        }

    def __call__(self, config: Config) -> Mapping[str, Any]:
        """`raced` with nobody looking."""
        return self.raced(config, Unwatched())

    def raced(self, config: Config, watch: Watch) -> Mapping[str, Any]:
        """{"loss": lower is better, "value": the metric, "rounds": boosting rounds or None, "train_rows"}."""
        restore(self.handed)
        metric = METRICS[self.metric]
        family, own = split_config(config)
        folds = _folds(self)
        trial = _Trial(family=family, metric=metric, seed=self.seed, threads=self.threads, watch=watch)
        for share in self.shares:
            trial.try_part(folds[-1], own, share)
        found = trial.learn(folds, own)
        return {
            "loss": found.loss,
            "value": -metric.sign * found.loss,
            "rounds": found.rounds,
            "train_rows": len(folds[-1].train),
        }


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """Learns one config, and tells the watch."""

    family: Family
    metric: Metric
    seed: int
    threads: int
    watch: Watch

    def try_part(self, fold: LoadedFold, config: Config, share: float) -> None:
        """A rung of its own: a part of the rows in large steps, and no further than the first rung of a whole fit.

        Where there are no steps to save, half the part.
        """
        config = self.family.coarse(config)
        rounds = self.family.rounds_at(config, _PROGRESS[0])
        part = share if rounds is not None else share / 2
        if part * len(fold.train) < _LEAST_ROWS:
            return
        learner = self._learner(fold, config, rows=fold.part(part, self.seed))
        found = boosted([learner], most=rounds, watch=self.watch)
        self.watch.rung(f"{self.family.name}, {part:.0%} of the rows", found.loss)

    def learn(self, folds: Sequence[LoadedFold], config: Config) -> Learnt:
        """The loss was computed while it learnt: to predict those rows once more takes a sixth of a fit."""
        rungs = {self.family.rounds_at(config, at): f"{self.family.name}, progress {at:g}" for at in _PROGRESS}
        return learnt(
            self.family, config, lambda asked: [self._learner(fold, asked) for fold in folds],
            watch=self.watch, rungs=rungs,
        )  # fmt: skip

    def _learner(self, fold: LoadedFold, config: Config, rows: Rows | None = None) -> Learner:
        return self.family.learner(
            fold.train, fold.train_label, (fold.valid, fold.label), config, metric=self.metric, seed=self.seed,
            threads=self.threads, rows=rows, kept=fold.kept,
        )  # fmt: skip


def prepare(folder: Path, design: Design, label: Label, folds: Sequence[Fold]) -> str:
    """Write the arrays of a study into a folder; the digest of their content. DataError for NaN or infinite labels."""
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
    """One fold in memory, kept by its worker from trial to trial."""

    train: Design
    train_label: Label
    valid: Design
    label: Label
    kept: Kept

    def part(self, share: float, seed: int) -> Rows:
        """A seeded sample of the train rows; a smaller share's rows are among a larger one's."""
        order = np.random.default_rng(seed).permutation(len(self.train))
        return np.sort(order[: round(share * len(order))])


@lru_cache(maxsize=1)
def _folds(objective: TrialObjective) -> tuple[LoadedFold, ...]:
    columns = read_json(objective.folder / "columns.json")
    X, label = (np.load(objective.folder / f"{name}.npy", mmap_mode="r") for name in ("X", "label"))
    design = Design(X=X, names=tuple(columns["names"]), categorical=tuple(columns["categorical"]))
    return tuple(_loaded(objective, design, label, number) for number in range(int(columns["folds"])))


def _loaded(objective: TrialObjective, design: Design, label: Label, number: int) -> LoadedFold:
    train, valid = (np.load(objective.folder / f"{name}_{number}.npy") for name in ("train", "valid"))
    if len(train) > objective.row_cap:
        drawn = np.random.default_rng(objective.seed).choice(len(train), objective.row_cap, replace=False)
        train = train[np.sort(drawn)]
    kept = objective.folder / f"kept_{number}_{objective.row_cap}_{objective.seed}"
    kept.mkdir(exist_ok=True)
    return LoadedFold(
        train=design.rows(train),
        train_label=np.array(label[train]),
        valid=design.rows(valid),
        label=np.array(label[valid]),
        kept=Kept(kept),
    )
