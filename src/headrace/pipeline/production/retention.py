"""Decide and remove what is older than its retention: predictions and delivered alerts.

Some predictions are kept whatever their age, because something still reads them:

- those of the monitored windows that a decision compares, and those whose label may still come
  (`protected_from_us`): rows with a cutoff after the present minus the longest history of windows and the horizon;
- the newest of each version that may be champion, which certificates and skew audits read.

Decisions, acknowledgements and the ledger are the audit trail, and are never removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from headrace.core.clock import parse_duration
from headrace.core.errors import NotFoundError
from headrace.core.replicas import read_replicas, write_replicas
from headrace.lake.store import Lake
from headrace.monitor.evidence.persistence import HORIZONS
from headrace.monitor.outbox.outbox import Outbox
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.schema import HorizonLabel, Problem

#: Predictions of each version that may be champion that are kept whatever their age.
NEWEST_KEPT = 5_000


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What a retention removes.

    Attributes:
        predictions: Number of predictions.
        scored: How many of them were made by the score flow.
        before_us: Predictions made, and with a cutoff, before this instant of the production clock; None: of no age.
        kept_versions: Versions whose newest predictions stay.
        alerts: Number of delivered alerts.
        alerts_before_us: Alerts queued before this instant of the wall clock; None: of no age.
    """

    predictions: int = 0
    scored: int = 0
    before_us: int | None = None
    kept_versions: tuple[str, ...] = ()
    alerts: int = 0
    alerts_before_us: int | None = None


def plan_removal(
    root: Path, problem: Problem, *, predictions_us: int | None, alerts_us: int | None, now_us: int
) -> Removal:
    """Decide what to remove, without removing it.

    Args:
        root: Home folder.
        problem: The problem.
        predictions_us: Age of predictions on the production clock; None: none are removed.
        alerts_us: Age of delivered alerts on the wall clock; None: none are removed.
        now_us: Wall clock, microseconds UTC.
    """
    clock, name = Lake(root, problem.name).clock(), problem.name
    versions = tuple(sorted(Ledger(root, name).eligible()))
    predictions = scored = 0
    before_us = None
    if predictions_us is not None and clock is not None:
        before_us = min(clock - predictions_us, protected_from_us(problem, clock))
        with PredictionLog(root, name) as log:
            predictions, scored = log.count_removable(before_us, versions, NEWEST_KEPT)
    alerts_before_us = None if alerts_us is None else now_us - alerts_us
    alerts = 0 if alerts_before_us is None else Outbox(root, name).count_delivered(alerts_before_us)
    return Removal(
        predictions=predictions,
        scored=scored,
        before_us=before_us,
        kept_versions=versions,
        alerts=alerts,
        alerts_before_us=alerts_before_us,
    )


def protected_from_us(problem: Problem, clock_us: int) -> int:
    """Return the cutoff from which on predictions are compared by monitoring, or wait for their label.

    A decision reads a window and the windows before it, `HORIZONS` in all. A label of a row comes a horizon after its
    cutoff; where the label is a column, a further window is allowed for it.
    """
    window_us, label = parse_duration(problem.monitoring.window), problem.label_expression
    horizon_us = label.horizon_us if isinstance(label, HorizonLabel) else 0
    return clock_us - (max(HORIZONS) + 1) * window_us - horizon_us


def remove(root: Path, problem: Problem, removal: Removal) -> None:
    """Remove what was planned, and give the space of an SQLite file back to the disk.

    The number of scored rows is reduced before they go: after a kill in between, more rows than recorded are no fault,
    and fewer would be (`pipeline.production.scoring`).
    """
    name = problem.name
    if removal.predictions and removal.before_us is not None:
        path = root / "predictions" / f"{name}.scored.json"
        with FileLock(root / "predictions" / f".{name}.score.lock"), PredictionLog(root, name) as log:
            try:
                last = read_replicas(path)
                write_replicas(path, {**last, "rows": max(int(last.get("rows", 0)) - removal.scored, 0)})
            except NotFoundError:
                pass
            log.remove(removal.before_us, removal.kept_versions, NEWEST_KEPT)
            log.vacuum()
    if removal.alerts and removal.alerts_before_us is not None:
        Outbox(root, name).remove_delivered(removal.alerts_before_us)
