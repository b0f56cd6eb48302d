"""The history of a problem in production, from what every part has recorded: nothing is recorded for this alone.

The prediction log and the lake hold the quality, the outbox the decisions and their outcomes, the ledger the champions.
So a history can be read at any time, by anybody, also after a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.evaluate.metrics import METRICS
from headrace.lake.store import Lake
from headrace.monitor.outbox.outbox import Entry, Outbox
from headrace.pipeline.context import Context
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.synthesis.spine.build import build_spine

#: Fewer labelled rows than this are no measurement of a day or of a window.
_FEWEST = 30


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The problem's metric over predictions with cutoff in [start, end). value: None where it cannot be measured."""

    start_us: int
    end_us: int
    rows: int
    labelled: int
    value: float | None


@dataclass(frozen=True, kw_only=True)
class WindowDecision:
    """The decision about a window.

    Attributes:
        at_us: end of the window.
        decision: its id.
        kind: nothing, alert or retrain.
        reason: for people.
        features: how many features drifted.
        other: what else drifted.
        outcome: of the retrain, None where there was none or where it is not finished.
        version: that the retrain registered.
        measured: False for a decision that no window led to, such as an alert after several refusals.
    """

    at_us: int
    decision: str
    kind: str
    reason: str
    features: int
    other: tuple[str, ...]
    outcome: str | None
    version: str | None
    measured: bool = True


@dataclass(frozen=True, kw_only=True)
class ChampionPeriod:
    """A champion, and when it was one on the production clock. expected: its recipe's metric on its gate window."""

    version: str
    from_us: int
    until_us: int
    expected: float | None


@dataclass(frozen=True, kw_only=True)
class ProductionHistory:
    """A problem's production so far: quality by day and by week, decisions and champions, oldest first."""

    problem: str
    metric: str
    days: tuple[Measurement, ...]
    weeks: tuple[Measurement, ...]
    decisions: tuple[WindowDecision, ...]
    champions: tuple[ChampionPeriod, ...]


@dataclass(frozen=True, kw_only=True)
class LabelledPredictions:
    """Scheduled predictions with their labels.

    Attributes:
        cutoffs_us: [n].
        label: [n], NaN while unknown.
        prediction: [n].
    """

    cutoffs_us: NDArray[np.int64]
    label: NDArray[np.float64]
    prediction: NDArray[np.float64]

    def measure(self, metric: str, start_us: int, end_us: int) -> Measurement:
        """Compute the metric of the predictions with cutoff in [start, end)."""
        inside = (self.cutoffs_us >= start_us) & (self.cutoffs_us < end_us)
        known = inside & np.isfinite(self.label)
        label, prediction = self.label[known], self.prediction[known]
        enough = len(label) >= _FEWEST and (not METRICS[metric].binary or len(np.unique(label)) == 2)
        return Measurement(
            start_us=start_us,
            end_us=end_us,
            rows=int(inside.sum()),
            labelled=len(label),
            value=METRICS[metric].value(label, prediction) if enough else None,
        )


def production_history(context: Context, *, since_us: int, week_us: int = 7 * DAY) -> ProductionHistory:
    """Read the history since an instant.

    Args:
        context: of the problem.
        since_us: the start of a day.
        week_us: length of the windows that quality is also measured on, one ending each day.
    """
    name, metric = context.problem.name, context.problem.metric
    now = Lake(context.root, name).clock() or since_us
    found = labelled_predictions(context, since_us, now)
    ends = range(since_us + DAY, now + 1, DAY)
    return ProductionHistory(
        problem=name,
        metric=metric,
        days=tuple(found.measure(metric, end - DAY, end) for end in ends),
        weeks=tuple(found.measure(metric, end - week_us, end) for end in ends if end - week_us >= since_us),
        decisions=tuple(
            _window_decision(entry)
            for entry in Outbox(context.root, name).history()
            if entry.decision.end_us > since_us
        ),
        champions=_champions(Ledger(context.root, name), metric, since_us, now),
    )


def labelled_predictions(context: Context, since_us: int, now_us: int) -> LabelledPredictions:
    """Every row that was predicted on schedule since an instant, by whichever version, with its label as known now."""
    problem = context.problem
    snapshot = Lake(context.root, problem.name).snapshot()
    spine = build_spine(problem, snapshot, start_us=since_us, end_us=now_us, now_us=now_us, engine=context.engine)
    with PredictionLog(context.root, problem.name) as log:
        logged: dict[tuple[object, ...], float] = {}
        for version in Ledger(context.root, problem.name).versions():
            logged |= log.probabilities(since_us, now_us, version=version)
    keys = [tuple(row.values()) for row in spine.select(list(problem.spine_table.keys)).to_pylist()]
    prediction = np.array([logged.get(key, np.nan) for key in keys], dtype=np.float64)
    made = np.isfinite(prediction)
    return LabelledPredictions(
        cutoffs_us=spine["cutoff"].to_numpy()[made],
        label=spine["label"].to_numpy(zero_copy_only=False)[made],
        prediction=prediction[made],
    )


def _window_decision(entry: Entry) -> WindowDecision:
    decision = entry.decision
    return WindowDecision(
        at_us=decision.end_us,
        decision=decision.id,
        kind=decision.kind,
        reason=decision.reason,
        features=sum(finding.about == "feature" for finding in decision.drifted),
        other=tuple(finding.name.strip("_") for finding in decision.drifted if finding.about != "feature"),
        outcome=entry.outcome,
        version=entry.version,
        measured=decision.measured,
    )


def _champions(ledger: Ledger, metric: str, since_us: int, now_us: int) -> tuple[ChampionPeriod, ...]:
    changes, metrics = ledger.history(), ledger.versions()
    ends: Sequence[int] = [*(record.at_us for record in changes[1:]), now_us]
    return tuple(
        ChampionPeriod(
            version=record.version,
            from_us=max(record.at_us, since_us),
            until_us=end,
            expected=metrics.get(record.version, {}).get(f"gate_{metric}"),
        )
        for record, end in zip(changes, ends, strict=True)
        if end > since_us
    )
