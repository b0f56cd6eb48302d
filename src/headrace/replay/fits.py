"""Fit every candidate of a retrain once, journalled on disk: a replay that was killed goes on with the next one.

A candidate is one file, `model-<number>.npz`, written in one step: the sha256 of its content, then its content. It is
verified when it is read, and a damaged candidate is fitted again.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.core.files import write_bytes
from headrace.models.recipe import Recipe, fit_recipe
from headrace.replay.plan import ReplayPlan
from headrace.replay.rows import ReplayRows
from headrace.replay.table import LossTable
from headrace.schema import Problem

#: Rows of a reference profile, as in a bundle.
_REFERENCE_ROWS = 5_000
#: Bytes of a sha256.
_DIGEST = 32
#: A model cannot be fitted on fewer rows.
_FEWEST = 50


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """All candidates of a replay.

    Attributes:
        table: Their predictions and losses.
        rows: Position of each row of the table among the replay's rows [n].
        reference: Sample of each candidate's training rows, as positions among the replay's rows.
        reference_predictions: Its predictions for them.
    """

    table: LossTable
    rows: NDArray[np.int64]
    reference: tuple[NDArray[np.int64], ...]
    reference_predictions: tuple[NDArray[np.float32], ...]


def fit_candidates(
    problem: Problem,
    plan: ReplayPlan,
    rows: ReplayRows,
    recipe: Recipe,
    folder: Path,
    *,
    threads: int,
    say: Callable[[str], None],
) -> Candidates:
    """Fit the candidates that are not in the folder yet, and read them all.

    Args:
        problem: declares the metric.
        plan: the instants of the refits.
        rows: of the replay.
        recipe: of all candidates.
        folder: the journal.
        threads: of a fit.
        say: receives how far it is, for people.

    Raises:
        DataError: so few labels are known before the first refit that nothing can be fitted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    instants = plan.instants_us
    evaluated = np.flatnonzero((rows.cutoffs_us >= instants[0]) & (rows.cutoffs_us < plan.end_us))
    evaluated = evaluated[np.isfinite(rows.label[evaluated])]
    found = []
    for model in range(len(instants) - 1):
        path = folder / f"model-{model:03d}.npz"
        if (one := _read(path)) is None:
            say(f"candidate {model + 1} of {len(instants) - 1}")
            one = _fit(problem, rows, recipe, int(instants[model]), evaluated, plan.seed, threads)
            _write(path, one)
        found.append(one)
    table = LossTable(
        metric=problem.metric,
        instants_us=instants,
        first=plan.warm_up,
        cutoffs_us=rows.cutoffs_us[evaluated],
        label=rows.label[evaluated],
        known_us=rows.known_us[evaluated],
        predictions=np.stack([one["predictions"] for one in found]),
        cpu_s=np.array([float(one["cpu_s"]) for one in found]),
        trained_rows=np.array([int(one["trained_rows"]) for one in found]),
    )
    return Candidates(
        table=table,
        rows=evaluated,
        reference=tuple(one["reference"] for one in found),
        reference_predictions=tuple(one["reference_predictions"] for one in found),
    )


def _fit(
    problem: Problem,
    rows: ReplayRows,
    recipe: Recipe,
    instant_us: int,
    evaluated: NDArray[np.int64],
    seed: int,
    threads: int,
) -> dict[str, Any]:
    learnt = rows.known_before(instant_us)
    if len(learnt) < _FEWEST or len(np.unique(rows.label[learnt])) < 2:
        raise DataError(
            f"{len(learnt)} labels are known before the first refit",
            where="replay",
            fix="start later (--start), with more history before",
        )
    started = time.process_time()
    fitted = fit_recipe(
        recipe, rows.design, rows.label_or_zero, metric=problem.metric, rows=learnt, seed=seed, threads=threads
    )
    cpu_s = time.process_time() - started
    after = np.flatnonzero(rows.cutoffs_us[evaluated] >= instant_us)
    predictions = np.full(len(evaluated), np.nan, dtype=np.float32)
    predictions[after] = fitted.predict(rows.design.rows(evaluated[after]), threads=threads)
    reference = learnt
    if len(learnt) > _REFERENCE_ROWS:
        reference = np.sort(np.random.default_rng(seed).choice(learnt, _REFERENCE_ROWS, replace=False))
    return {
        "predictions": predictions,
        "reference": reference,
        "reference_predictions": fitted.predict(rows.design.rows(reference), threads=threads).astype(np.float32),
        "cpu_s": np.array(cpu_s),
        "trained_rows": np.array(len(learnt)),
    }


def _write(path: Path, candidate: dict[str, Any]) -> None:
    written = io.BytesIO()
    np.savez_compressed(written, **candidate)
    content = written.getvalue()
    write_bytes(path, hashlib.sha256(content).digest() + content)


def _read(path: Path) -> dict[str, Any] | None:
    """A candidate of the journal; None where it is missing or damaged."""
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = written[:_DIGEST], written[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with np.load(io.BytesIO(content)) as file:
        return {name: file[name] for name in file.files}
