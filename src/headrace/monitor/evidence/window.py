"""Compare one monitored window with the champion's reference (features, predictions, labels, quality), for the policy.

`fdr` bounds the share of windows with a finding when there is no drift. Three quarters of it are allocated: a half to
the features (as their false-discovery rate), a quarter to predictions, labels and quality. The rest covers
approximation errors: at 100 rows and p-values of 5e-4, simulated tails were up to 1.6 times too thin.

A finding must be significant for both sample sizes and larger than its floor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.models.bundle import LABEL
from headrace.monitor.drift_tests.calibration import benjamini_hochberg_threshold
from headrace.monitor.estimates.window import WindowEstimates
from headrace.monitor.evidence.columns import MIN_ROWS, ColumnEvidence, compare_column, judge_moments
from headrace.monitor.evidence.dependence import (
    blocks_of,
    clusters_of,
    independence_note,
    joined_windows,
)
from headrace.monitor.evidence.joint import JointResult
from headrace.monitor.evidence.model_outputs import (
    ColumnOptions,
    column_of,
    compare_labels,
    compare_predictions,
    compare_quality,
)
from headrace.monitor.evidence.performance import Performance
from headrace.monitor.evidence.persistence import long_windows
from headrace.monitor.worth.worth import WorthEvidence

Outcome = Literal["measured", "empty window", "too few rows", "no reference"]

_FEATURES, _PREDICTION, _LABEL, _PERFORMANCE = 0.5, 0.1, 0.05, 0.1


@dataclass(frozen=True, kw_only=True)
class WindowEvidence:
    """The evidence of one window.

    Attributes:
        outcome: "measured", or why the window could not be measured.
        columns: Evidence of all features, the largest severity first.
        drifted: Names of the drifted features.
        share_drifted: Share of the tested features that drifted.
        excluded: Features that are not tested, such as calendar features.
        prediction, label: Evidence about the distributions of predictions and of matured labels.
        performance: Quality on matured labels.
        rows, reference_rows: Rows of the window and of the reference.
        mature, censored: Rows with a label, and rows whose label will never come.
        joint, estimates, worth: All features together, performance before labels, and what a refresh gains; None where
            unknown. `window_evidence` sets none of them.
        notes: Remarks for people.
    """

    outcome: Outcome
    columns: tuple[ColumnEvidence, ...] = ()
    drifted: tuple[str, ...] = ()
    share_drifted: float = 0.0
    excluded: tuple[str, ...] = ()
    prediction: ColumnEvidence | None = None
    label: ColumnEvidence | None = None
    performance: Performance | None = None
    rows: int = 0
    reference_rows: int = 0
    mature: int = 0
    censored: int = 0
    joint: JointResult | None = None
    estimates: WindowEstimates | None = None
    worth: WorthEvidence | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def measured(self) -> bool:
        return self.outcome == "measured"

    @property
    def alarming(self) -> bool:
        """Whether the window has any finding."""
        parts = (self.prediction, self.label, self.joint)
        quality = self.performance is not None and self.performance.dropped
        return bool(self.drifted) or quality or any(part is not None and part.drifted for part in parts)

    def column(self, name: str) -> ColumnEvidence | None:
        """Return the evidence of one feature, None where it was not compared."""
        return next((column for column in self.columns if column.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able facts for the outbox, logs and reports."""
        names = ("prediction", "label", "performance", "joint", "estimates", "worth")
        parts = {name: getattr(self, name) for name in names}
        return {
            **{name: value for name, value in self.__dict__.items() if isinstance(value, str | int | float)},
            **{name: list(getattr(self, name)) for name in ("drifted", "excluded", "notes")},
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
            "columns": [column.to_json() for column in self.columns],
            "alarming": self.alarming,
        }


def window_evidence(
    reference: pa.Table | None,
    current: pa.Table | None,
    kinds: Mapping[str, str],
    *,
    exclude: Collection[str] = frozenset(),
    fdr: float = 0.01,
    tests: Sequence[str] | None = None,
    floors: Mapping[str, float] | None = None,
    margin: float | None = None,
    held_out: pa.Table | None = None,
    reference_metrics: Mapping[str, float] | None = None,
    cutoffs_us: NDArray[np.int64] | None = None,
    length_us: int = 0,
    lookback_us: Mapping[str, int] | None = None,
    entities: Mapping[str, Sequence[str]] | None = None,
    reads: Mapping[str, Collection[str]] | None = None,
    history: pa.Table | None = None,
    start_us: int | None = None,
    metric: str = "auc",
    censored: int = 0,
    seed: int = 0,
) -> WindowEvidence:
    """Compare a window of logged predictions with the reference.

    Args:
        reference: Training rows with the features of `kinds`, and `_prediction`, `_label`, `_cutoff` (us) where known.
        current: Logged rows [n] with the same columns; `_label` is null while immature.
        kinds: Feature -> numeric, categorical or boolean.
        exclude: Features that are not tested, such as calendar features.
        fdr: Largest share of windows with a finding when there is no drift.
        tests: Names of the drift tests that decide; the catalogue's defaults where None.
        floors: Test -> smallest effect that matters, where it differs from the test's own.
        margin: Smallest drop of `metric` that counts; `performance.MARGINS` where None.
        held_out: Rows with out-of-sample predictions: predictions on training rows are too good. Predictions are
            compared with theirs, and quality too where they have `_label` and `_cutoff`.
        reference_metrics: Metric -> value, treated as exact; used where `held_out` has no labels. Without both, quality
            is compared with that of the reference.
        cutoffs_us: Cutoffs of the current rows [n], whose days the bootstrap of the quality resamples.
        length_us: Length of the window. With it, and `_cutoff` in the reference, significance is limited by the
            variance between windows (`evidence.variance`); otherwise rows are treated as independent.
        lookback_us: Feature -> its lookback.
        entities: Feature -> columns of `reference` and `current` with the keys of entities whose rows share it; used
            with `length_us`. A column that either lacks is ignored.
        reads: Feature -> the columns that it is computed from, where known: features of the same columns tell most
            about each other (`evidence.conditional`).
        history: Logged rows of the model before `start_us`, with `_cutoff` (us), for means of several windows.
        start_us: Start of the window.
        metric, censored, seed: The problem's metric, rows whose label will never come, and the seed of simulations.
    """
    facts = _counts(reference, current, censored) | {"excluded": tuple(name for name in kinds if name in exclude)}
    if outcome := _unmeasurable(facts["reference_rows"], facts["rows"]):
        return WindowEvidence(outcome=outcome[0], notes=(outcome[1],), **facts)
    assert reference is not None  # both have rows
    assert current is not None

    blocks = blocks_of(reference, length_us)
    options = ColumnOptions(tests=tests, floors=floors, blocks=blocks, seed=seed)
    clusters = clusters_of(reference, current, blocks, entities or {})
    joined = joined_windows(reference, long_windows(current, history, start_us, length_us), blocks, entities or {})
    compared = [
        compare_column(
            name,
            kind,
            column_of(reference, name),
            column_of(current, name),
            lookback_us=(lookback_us or {}).get(name, 0),
            clusters=clusters.get(name, ()),
            joined=joined(name),
            **vars(options),
        )
        for name, kind in kinds.items()
        if name not in exclude
    ]
    columns, drifted, share = _features(judge_moments(compared, reads), fdr * _FEATURES, floors)
    prediction = compare_predictions(reference, current, held_out, fdr * _PREDICTION, options)
    label = compare_labels(reference, current, metric, fdr * _LABEL, options)
    with_quality = reference if held_out is None and reference_metrics is None else held_out
    quality = compare_quality(
        with_quality, current, reference_metrics, cutoffs_us, metric, margin, fdr * _PERFORMANCE, seed
    )
    return WindowEvidence(
        outcome="measured",
        columns=columns,
        drifted=drifted,
        share_drifted=share,
        prediction=prediction,
        label=label,
        performance=quality,
        notes=(*_notes(columns, prediction, label, quality), *independence_note(length_us, blocks)),
        **facts,
    )


def _counts(reference: pa.Table | None, current: pa.Table | None, censored: int) -> dict[str, Any]:
    labels = None if current is None else column_of(current, LABEL)
    return {
        "rows": 0 if current is None else current.num_rows,
        "reference_rows": 0 if reference is None else reference.num_rows,
        "mature": 0 if labels is None else len(labels) - labels.null_count,
        "censored": censored,
    }


def _unmeasurable(reference: int, rows: int) -> tuple[Outcome, str] | None:
    """Return why a window cannot be measured, as outcome and note; None where it can."""
    if not rows:
        return "empty window", "no predictions in this window"
    if not reference:
        return "no reference", "the champion has no reference profile"
    if min(rows, reference) < MIN_ROWS:
        found = f"{rows} rows against {reference} of the reference"
        return "too few rows", f"{found}: at least {MIN_ROWS} of each are needed"
    return None


def _features(
    columns: Sequence[ColumnEvidence], fdr: float, floors: Mapping[str, float] | None
) -> tuple[tuple[ColumnEvidence, ...], tuple[str, ...], float]:
    """Apply false-discovery control over all columns; a column that was not tested is not part of the correction."""
    tested = [column.p_value for column in columns if column.measures]
    threshold = benjamini_hochberg_threshold(np.array(tested), fdr)
    judged = sorted((column.judged(threshold, floors) for column in columns), key=lambda column: -column.severity)
    drifted = tuple(column.name for column in judged if column.drifted)
    return tuple(judged), drifted, len(drifted) / len(tested) if tested else 0.0


def _notes(
    columns: Sequence[ColumnEvidence],
    prediction: ColumnEvidence | None,
    label: ColumnEvidence | None,
    quality: Performance | None,
) -> tuple[str, ...]:
    notes = [f"{column.name}: {column.note}" for column in columns if column.note]
    if prediction is None:
        notes.append("predictions were not compared: one side has none")
    elif prediction.note:
        notes.append(f"predictions: {prediction.note}")
    if label is not None and label.note:
        notes.append(f"labels: {label.note}")
    notes.append("quality: no labels with predictions" if quality is None else f"quality: {quality.note}")
    return tuple(note for note in notes if not note.endswith(": "))
