"""What policies cost and gain over the replayed months, with intervals, and which of them is recommended.

| symbol | meaning                                                                                     |
|--------|---------------------------------------------------------------------------------------------|
| B      | blocks of days: the replay's periods, at least                                              |
| W [R, B] | bootstrap weights of the blocks, the same for all policies (paired)                        |
| l_b, n_b | summed loss and rows of block b                                                            |

The loss of a policy is sum l_b / sum n_b; its cost in weeks of the first champion's loss is that loss, over the replay,
plus the declared cost of each retrain. Intervals are those of the realised decisions on resampled blocks: they do not
contain what other decisions would have followed from other data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headrace.core.clock import WEEK
from headrace.evaluate.metrics import Floats
from headrace.replay.hindsight import Optimum
from headrace.replay.table import Ints, LossTable
from headrace.replay.walk import Walk

_RESAMPLES = 2_000
_LEVELS = (0.05, 0.95)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a policy.

    Attributes:
        name: Of the policy.
        retrains: Retrains that were started.
        refreshed: Periods that begin with a new champion.
        loss: Mean loss of a row.
        metric: The problem's metric, mean over the months that it is defined in; NaN where it is in none.
        gain: How much less it loses a row than never to retrain; `low` and `high` are the 90 % interval.
        hindsight_share: The gain as a share of the hindsight optimum's with at most as many retrains; None without.
        calendar: The best calendar of as many retrains, or of the next fewer, in periods; None where none has so few.
        against_calendar: How much less it loses a row than calendars of as many retrains, with its interval. Where none
            has as many, their loss is interpolated between the next fewer and the next more.
        cost: Of retrains and losses together, in weeks of the first champion's loss.
        cpu_s: CPU seconds of fits and evidence.
        production: Whether it can be declared as the problem's policy.
    """

    name: str
    retrains: int
    refreshed: tuple[int, ...]
    loss: float
    metric: float
    gain: float
    low: float
    high: float
    hindsight_share: float | None
    calendar: int | None
    against_calendar: tuple[float, float, float] | None
    cost: float
    cpu_s: float
    production: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The policy of the least cost among those that production can run.

    Attributes:
        name: Of the policy.
        confidence: Share of the resamples in which it costs least.
        second: The next best.
        margin: How much less it costs than the second, in weeks of the first champion's loss, with its 90 % interval.
    """

    name: str
    confidence: float
    second: str
    margin: tuple[float, float, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Sums by block of days, and bootstrap weights. rows [B], weights [R, B], first the observed weights of 1."""

    block: Ints
    rows: Floats
    weights: Floats

    @classmethod
    def of(cls, table: LossTable, seed: int) -> Blocks:
        """Take the replay's periods as blocks."""
        block = table.period - table.first
        count = len(table.periods)
        rows = np.bincount(block[block >= 0], minlength=count).astype(np.float64)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
        return cls(block=block, rows=rows, weights=np.vstack([np.ones((1, count)), drawn]))

    def losses(self, table: LossTable, champions: Ints) -> Floats:
        """Return the mean loss of a row: on all rows, then on each resample [R + 1]."""
        sums = np.array([table.loss[model, period] for period, model in zip(table.periods, champions, strict=True)])
        return np.asarray((self.weights @ sums) / np.maximum(self.weights @ self.rows, 1.0), dtype=np.float64)


def summarise(
    table: LossTable, walks: Sequence[Walk], calendars: Mapping[int, Walk], optima: Sequence[Optimum], *,
    cost_weeks: float, production: Sequence[str], seed: int,
) -> tuple[tuple[Outcome, ...], Recommendation]:  # fmt: skip
    """Compare walks over one table.

    Args:
        table: Of the candidates.
        walks: The first one never retrains.
        calendars: Every so many periods -> its walk.
        optima: For 0, 1, ... retrains, up to one in every period.
        cost_weeks: Declared cost of a retrain, in weeks of the champion's loss.
        production: Names of the policies that production can run.
        seed: Of the bootstrap.
    """
    blocks = Blocks.of(table, seed)
    by_calendar = {every: blocks.losses(table, walk.champions) for every, walk in calendars.items()}
    never = blocks.losses(table, walks[0].champions)
    costs: dict[str, Floats] = {}
    found = []
    for walk in walks:
        losses = blocks.losses(table, walk.champions)
        weeks = (table.instants_us[-1] - table.instants_us[table.first]) / WEEK
        costs[walk.name] = losses / never[0] * weeks + cost_weeks * walk.retrains
        every = _best_calendar(calendars, by_calendar, walk.promoted)
        best = optima[walk.promoted].loss / blocks.rows.sum()
        found.append(
            Outcome(
                name=walk.name,
                retrains=walk.retrains,
                refreshed=tuple(step.period + 1 for step in walk.steps if step.following != step.champion),
                loss=float(losses[0]),
                metric=monthly_metric(table, walk.champions),
                gain=float(never[0] - losses[0]),
                low=_interval(never - losses)[1],
                high=_interval(never - losses)[2],
                hindsight_share=float((never[0] - losses[0]) / (never[0] - best)) if never[0] > best else None,
                calendar=every,
                against_calendar=None
                if every is None
                else _interval(_of_as_many(calendars, by_calendar, walk.promoted) - losses),
                cost=float(costs[walk.name][0]),
                cpu_s=walk.cpu_s,
                production=walk.name in production,
            )
        )
    return tuple(found), recommend({name: costs[name] for name in costs if name in production})


def recommend(costs: Mapping[str, Floats]) -> Recommendation:
    """Recommend the policy of the least cost.

    Args:
        costs: Policy -> its cost on all rows, then on each resample [R + 1]. Of equal ones the first is taken.
    """
    names = list(costs)
    values = np.stack([costs[name] for name in names])
    order = np.argsort(values[:, 0], kind="stable")
    best = int(order[0])
    second = int(order[1]) if len(order) > 1 else best
    return Recommendation(
        name=names[best],
        confidence=float((values[best, 1:] <= values[:, 1:].min(axis=0) + 1e-12).mean()),
        second=names[second],
        margin=_interval(values[second] - values[best]),
    )


def monthly_metric(table: LossTable, champions: Ints) -> float:
    """Return the problem's metric of what production predicted, mean over the calendar months."""
    predicted = table.served(champions)
    month = table.cutoffs_us.astype("datetime64[us]").astype("datetime64[M]")
    inside = np.isfinite(predicted)
    values = [
        table.measure(rows, predicted[rows])
        for one in np.unique(month[inside])
        for rows in (np.flatnonzero(inside & (month == one)),)
    ]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _best_calendar(calendars: Mapping[int, Walk], losses: Mapping[int, Floats], retrains: int) -> int | None:
    """The calendar of the least loss among those of just as many retrains; of the next fewer where there is none."""
    fewer = [walk.promoted for walk in calendars.values() if walk.promoted <= retrains]
    if not fewer or not retrains:
        return None
    equal = [every for every, walk in calendars.items() if walk.promoted == max(fewer)]
    return min(equal, key=lambda every: losses[every][0])


def _of_as_many(calendars: Mapping[int, Walk], losses: Mapping[int, Floats], retrains: int) -> Floats:
    """The losses of calendars of so many retrains, interpolated where no calendar has as many [R + 1]."""
    best: dict[int, Floats] = {}
    for every, walk in calendars.items():
        if walk.promoted not in best or losses[every][0] < best[walk.promoted][0]:
            best[walk.promoted] = losses[every]
    below = max(count for count in best if count <= retrains)
    above = min((count for count in best if count >= retrains), default=below)
    share = (retrains - below) / (above - below) if above > below else 0.0
    return np.asarray((1 - share) * best[below] + share * best[above], dtype=np.float64)


def _interval(values: Floats) -> tuple[float, float, float]:
    """The value on all rows, and its 90 % interval from the resamples."""
    low, high = np.quantile(values[1:], _LEVELS)
    return float(values[0]), float(low), float(high)
