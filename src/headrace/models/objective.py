"""What a study minimises: fit one config on the train rows, measure it on the tune rows, of one split or of several.

The data is written once, as .npy files that every worker process maps into memory; what travels to a worker is a path
and a few numbers. On its way a trial tells its watch how it is doing, at rungs where trials have spent alike: fitted
on a part of the rows for a few large steps, then on all rows at some rounds, then after each split but the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DeclarationError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.evaluate.metrics import METRICS, Metric, require_finite
from headrace.evaluate.splits import Windows
from headrace.models.design import Design
from headrace.models.families import split_config
from headrace.models.families.protocol import Family, Fitted, Label, Rows
from headrace.models.kept import Kept
from headrace.models.space import Config
from headrace.models.watch import Unwatched, Watch

#: (rows to learn from, rows to measure on)
Split = tuple[Rows, Rows]

#: Rungs of a fit on all rows, as progress (see Family.rounds_at).
_PROGRESS = (1.6, 3.2)
#: A part of the rows smaller than this tells nothing.
_LEAST_ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class TrialObjective:
    """config of `families.study_space()` -> loss and facts. Picklable, and equal by content, not by where it lies.

    folder, digest: of `prepare`. row_cap: at most so many train rows; what wins on a small part of them need not win on
    all (docs/search.md). shares: parts of them to be fitted on first, as
    rungs of a race (see _Fitter.try_part); none where nobody races. threads: of one trial (1 beside other workers).
    """

    folder: Path
    digest: str
    metric: str
    seed: int
    row_cap: int = 100_000
    shares: tuple[float, ...] = ()
    threads: int = 1

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
        metric = METRICS[self.metric]
        family, own = split_config(config)
        splits = _splits(self)
        fitter = _Fitter(family=family, config=own, metric=metric, seed=self.seed, threads=self.threads, watch=watch)
        for share in self.shares:
            fitter.try_part(splits[0], share)
        losses: list[float] = []
        rounds: list[int | None] = []
        for number, split in enumerate(splits, start=1):
            loss, fitted = fitter.fit(split, rungs=number == 1)
            losses.append(loss)
            rounds.append(fitted.rounds)
            if number < len(splits):
                watch.rung(f"{family.name}, {number} of {len(splits)} folds", float(np.mean(losses)))
        mean = float(np.mean(losses))
        known = [count for count in rounds if count is not None]
        return {
            "loss": mean,
            "value": -metric.sign * mean,
            "rounds": round(float(np.mean(known))) if known else None,
            "train_rows": len(splits[0].train),
        }


@dataclass(frozen=True, kw_only=True)
class _Fitter:
    """Fits one config for one trial, and tells the watch."""

    family: Family
    config: Config
    metric: Metric
    seed: int
    threads: int
    watch: Watch

    def try_part(self, split: LoadedSplit, share: float) -> None:
        """A rung of its own: a part of the rows in large steps, and no further than the first rung of a whole fit.

        Where there are no steps to save, half the part.
        """
        config = self.family.coarse(self.config)
        rounds = self.family.rounds_at(config, _PROGRESS[0])
        share = share if rounds is not None else share / 2
        if share * len(split.train) < _LEAST_ROWS:
            return
        best = [np.inf]

        def report(rounds: int, loss: float) -> None:
            best.append(min(best[-1], loss))
            self.watch.tick(best[-1])

        self._fit(split, report, config=config, rounds=rounds, rows=split.part(share, self.seed))
        self.watch.rung(f"{self.family.name}, {share:.0%} of the rows", float(best[-1]))

    def fit(self, split: LoadedSplit, *, rungs: bool) -> tuple[float, Fitted]:
        """(its loss on the rows to measure on, the model). The loss was computed while it learnt: to predict those rows
        once more takes a sixth of a fit.
        """
        at = {self.family.rounds_at(self.config, progress): progress for progress in _PROGRESS} if rungs else {}
        best = [np.inf]

        def report(rounds: int, loss: float) -> None:
            best.append(min(best[-1], loss))
            if rounds in at:
                self.watch.rung(f"{self.family.name}, progress {at[rounds]:g}", float(best[-1]))
            else:
                self.watch.tick(float(best[-1]))

        fitted = self._fit(split, report)
        return float(best[-1]), fitted

    def _fit(
        self,
        split: LoadedSplit,
        report: Callable[[int, float], None],
        *,
        config: Config | None = None,
        rounds: int | None = None,
        rows: Rows | None = None,
    ) -> Fitted:
        return self.family.fit(
            split.train, split.train_label, config or self.config, metric=self.metric, valid=(split.tune, split.label),
            rounds=rounds, seed=self.seed, threads=self.threads, report=report, rows=rows, kept=split.kept,
        )  # fmt: skip


def prepare(folder: Path, design: Design, label: Label, splits: Windows | Sequence[Split]) -> str:
    """Write the arrays of a study into a folder; the digest of their content. DataError for NaN or infinite labels."""
    folder.mkdir(parents=True, exist_ok=True)
    y = require_finite(label, "label")
    pairs = [(splits.train, splits.tune)] if isinstance(splits, Windows) else list(splits)
    arrays: dict[str, NDArray[Any]] = {"X": design.X, "label": y}
    for number, (train, tune) in enumerate(pairs):
        arrays |= {f"train_{number}": train, f"tune_{number}": tune}
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    digests = {name: file_digest(folder / f"{name}.npy") for name in arrays}
    columns = {"names": list(design.names), "categorical": list(design.categorical), "splits": len(pairs)}
    write_json(folder / "columns.json", columns)
    return fingerprint({"arrays": digests, "columns": columns})


@dataclass(frozen=True, kw_only=True)
class LoadedSplit:
    """One split in memory, kept by its worker from trial to trial."""

    train: Design
    train_label: Label
    tune: Design
    label: Label
    kept: Kept

    def part(self, share: float, seed: int) -> Rows:
        """A seeded sample of the train rows; a smaller share's rows are among a larger one's."""
        order = np.random.default_rng(seed).permutation(len(self.train))
        return np.sort(order[: round(share * len(order))])


@lru_cache(maxsize=1)
def _splits(objective: TrialObjective) -> tuple[LoadedSplit, ...]:
    columns = read_json(objective.folder / "columns.json")
    X, label = (np.load(objective.folder / f"{name}.npy", mmap_mode="r") for name in ("X", "label"))
    design = Design(X=X, names=tuple(columns["names"]), categorical=tuple(columns["categorical"]))
    return tuple(_loaded(objective, design, label, number) for number in range(int(columns["splits"])))


def _loaded(objective: TrialObjective, design: Design, label: Label, number: int) -> LoadedSplit:
    train, tune = (np.load(objective.folder / f"{name}_{number}.npy") for name in ("train", "tune"))
    if len(train) > objective.row_cap:
        drawn = np.random.default_rng(objective.seed).choice(len(train), objective.row_cap, replace=False)
        train = train[np.sort(drawn)]
    kept = objective.folder / f"kept_{number}_{objective.row_cap}_{objective.seed}"
    kept.mkdir(exist_ok=True)
    return LoadedSplit(
        train=design.rows(train),
        train_label=np.array(label[train]),
        tune=design.rows(tune),
        label=np.array(label[tune]),
        kept=Kept(kept),
    )


def fit_stopped(
    config: Mapping[str, Any],
    design: Design,
    label: Label,
    windows: Windows,
    *,
    metric: str,
    seed: int = 0,
    threads: int = 2,
) -> Fitted:
    """Fit a study's config on the whole train window, stopped early on the tune window: the model that the gate judges.

    Its rounds are the ones to fix in `fit_final`: those of a trial were found on a sample of the rows, and more rows
    carry more rounds.
    """
    family, own = split_config(config)
    y = require_finite(label, "label")
    valid = design.rows(windows.tune), y[windows.tune]
    train = design.rows(windows.train), y[windows.train]
    return family.fit(*train, own, metric=METRICS[metric], valid=valid, seed=seed, threads=threads)


def fit_final(
    config: Mapping[str, Any],
    design: Design,
    label: Label,
    *,
    metric: str,
    rounds: int | None,
    rows: Any = None,
    seed: int = 0,
    threads: int = 2,
) -> Fitted:
    """Fit a study's config again on all the rows it may use by now, with its rounds fixed (nothing stops it early)."""
    family, own = split_config(config)
    y = require_finite(label, "label")
    if rows is not None:
        design, y = design.rows(rows), y[rows]
    return family.fit(design, y, own, metric=METRICS[metric], rounds=rounds, seed=seed, threads=threads)
