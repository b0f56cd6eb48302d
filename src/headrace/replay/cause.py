"""Whether a refresh gains from drift or only from more rows, by refits of equal size.

At some instants of the replay three models are compared on the rows of the next four periods:

    A   the first champion: the n rows that were known before the start
    B   the n newest rows that are known at the instant: as many rows, more recent
    C   all rows that are known at the instant: the candidate of a retrain

The gain of a refresh is loss(A) - loss(C) = [loss(A) - loss(B)] + [loss(B) - loss(C)]: what recent rows gain at equal
size is drift, the rest comes from more rows. Intervals are from a paired bootstrap over blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace.core.files import read_json, write_json
from headrace.evaluate.metrics import Floats
from headrace.models.recipe import Recipe, fit_recipe
from headrace.replay.fits import Candidates
from headrace.replay.rows import ReplayRows
from headrace.replay.table import Ints
from headrace.schema import Problem

#: Instants, and periods after each.
_INSTANTS, _AHEAD = 4, 4
_RESAMPLES = 2_000


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Where the gain of a refresh comes from, in loss of a row, each with its 90 % interval.

    Attributes:
        drift: Gain of rows as many and more recent.
        more_rows: Gain of all rows over the recent ones.
        rows: n.
        verdict: "drift", "more rows", "drift and more rows" or "neither for certain".
    """

    drift: tuple[float, float, float]
    more_rows: tuple[float, float, float]
    rows: int
    verdict: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_cause(
    problem: Problem, rows: ReplayRows, recipe: Recipe, candidates: Candidates, folder: Path, *,
    seed: int, threads: int, say: Callable[[str], None],
) -> Cause:  # fmt: skip
    """Compare refits of equal size.

    Args:
        problem: declares the metric.
        rows: of the replay.
        recipe: of all fits.
        candidates: the fitted ones.
        folder: the journal.
        seed: of the fits and the bootstrap.
        threads: of a fit.
        say: receives how far it is, for people.
    """
    table = candidates.table
    last = table.models - 1
    spaced = np.linspace(table.first, last, _INSTANTS + 2)[1:-1].round().astype(int)
    sums = []
    for model in dict.fromkeys(int(one) for one in spaced if one > table.first):
        after = np.flatnonzero((table.period >= model) & (table.period < model + _AHEAD))
        path = folder / f"recent-{model:03d}.json"
        if not path.exists():
            say(f"a refit on as many recent rows, period {model - table.first}")
            recent = _recent_losses(problem, rows, recipe, candidates, model, after, seed, threads)
            by_period = np.bincount(table.period[after] - model, weights=recent, minlength=_AHEAD)
            write_json(path, by_period.tolist())
        recent_sums = np.array(read_json(path))
        for ahead in range(_AHEAD):
            if model + ahead < table.models:
                period = model + ahead
                sums.append(
                    (table.loss[table.first, period], recent_sums[ahead], table.loss[model, period], table.rows[period])
                )
    return cause_of(
        np.array(sums, dtype=np.float64).reshape(-1, 4), rows=int(table.trained_rows[table.first]), seed=seed
    )


def cause_of(sums: Floats, *, rows: int, seed: int = 0) -> Cause:
    """Judge sums by block [b, 4]: losses of A, B and C, and rows.

    Args:
        sums: One row for each block.
        rows: n.
        seed: Of the bootstrap.
    """
    count = len(sums)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    weights = np.vstack([np.ones((1, count)), drawn])
    old, recent, full, rows_sum = (weights @ sums).T
    drift, more = (old - recent) / rows_sum, (recent - full) / rows_sum
    found = [_interval(one) for one in (drift, more)]
    certain = [name for name, one in zip(("drift", "more rows"), found, strict=True) if one[1] > 0]
    return Cause(drift=found[0], more_rows=found[1], rows=rows, verdict=" and ".join(certain) or "neither for certain")


def _recent_losses(
    problem: Problem, rows: ReplayRows, recipe: Recipe, candidates: Candidates, model: int, after: Ints, seed: int,
    threads: int,
) -> Floats:  # fmt: skip
    """Losses of B on some rows of the table [k]."""
    table = candidates.table
    known = rows.known_before(int(table.instants_us[model]))
    newest = known[-int(table.trained_rows[table.first]) :]
    fitted = fit_recipe(
        recipe, rows.design, rows.label_or_zero, metric=problem.metric, rows=newest, seed=seed, threads=threads
    )
    predicted = fitted.predict(rows.design.rows(candidates.rows[after]), threads=threads)
    return table.losses_of(predicted, after)


def _interval(values: Floats) -> tuple[float, float, float]:
    low, high = np.quantile(values[1:], (0.05, 0.95))
    return float(values[0]), float(low), float(high)
