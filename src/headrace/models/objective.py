"""What a study minimises: fit one config on the train window, measure it on the tune window.

The data is written once, as .npy files that every worker process maps into memory; what travels to a worker is a path
and a few numbers. A trial may see a seeded sample of the train rows only: ranking configs needs fewer rows than the
final fit does, and that is most of a study's time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest, fingerprint
from headrace.evaluate.metrics import METRICS, require_finite
from headrace.evaluate.splits import Windows
from headrace.models.design import Design
from headrace.models.families import split_config
from headrace.models.families.protocol import Fitted, Label
from headrace.models.space import Config

_ARRAYS = ("X", "label", "train", "tune")


@dataclass(frozen=True, kw_only=True)
class TrialObjective:
    """config of `families.study_space()` -> loss and facts. Picklable, and equal by content, not by where it lies.

    folder, digest: of `prepare`. row_cap: at most so many train rows. threads: of one trial (1 beside other workers).
    """

    folder: Path
    digest: str
    metric: str
    seed: int
    row_cap: int = 25_000
    threads: int = 1

    def fingerprint(self) -> dict[str, Any]:
        """What losses depend on: the data, not the folder."""
        return {"data": self.digest, "metric": self.metric, "seed": self.seed, "row_cap": self.row_cap}

    def __call__(self, config: Config) -> Mapping[str, Any]:
        """{"loss": lower is better, "value": the metric, "rounds": boosting rounds or None, "train_rows"}."""
        metric = METRICS[self.metric]
        family, own = split_config(config)
        train, tune = _windows(self)
        fitted = family.fit(*train, own, metric=metric, valid=tune, seed=self.seed, threads=self.threads)
        value = metric.value(tune[1], fitted.predict(tune[0], threads=self.threads))
        return {
            "loss": -metric.sign * value,
            "value": value,
            "rounds": fitted.rounds,
            "train_rows": len(train[0]),
        }


def prepare(folder: Path, design: Design, label: Label, windows: Windows) -> str:
    """Write the arrays of a study into a folder; the digest of their content. DataError for NaN or infinite labels."""
    folder.mkdir(parents=True, exist_ok=True)
    y = require_finite(label, "label")
    arrays: dict[str, NDArray[Any]] = {"X": design.X, "label": y, "train": windows.train, "tune": windows.tune}
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    digests = {name: file_digest(folder / f"{name}.npy") for name in _ARRAYS}
    columns = {"names": list(design.names), "categorical": list(design.categorical)}
    write_json(folder / "columns.json", columns)
    return fingerprint({"arrays": digests, "columns": columns})


@lru_cache(maxsize=1)
def _windows(objective: TrialObjective) -> tuple[tuple[Design, Label], tuple[Design, Label]]:
    """(train, tune) of an objective, kept by its worker from trial to trial."""
    columns = read_json(objective.folder / "columns.json")
    X, label, train, tune = (np.load(objective.folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
    design = Design(X=X, names=tuple(columns["names"]), categorical=tuple(columns["categorical"]))
    if len(train) > objective.row_cap:
        drawn = np.random.default_rng(objective.seed).choice(len(train), objective.row_cap, replace=False)
        train = train[np.sort(drawn)]
    return (design.rows(train), np.array(label[train])), (design.rows(tune), np.array(label[tune]))


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
