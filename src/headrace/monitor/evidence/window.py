"""All evidence of one window: features, predictions, labels and quality, against the champion's reference.

The error budget of a window, `fdr`, is split so that a world that stands still raises a finding in at most that share
of windows. Half of it is spent: a quarter on the features (their false-discovery rate), a quarter on predictions,
labels and quality. The other half is for what is known only roughly: at 100 rows and p-values of 5e-4, simulated tails
were found up to 1.6 times too thin, and a budget spent in full raised something in 1.6 % of 1,000 still windows.

A finding has to be significant for both sample sizes AND larger than its floor. Nothing here raises on bad windows:
what stands in the way is an outcome with a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION
from headrace.monitor.drift_tests.calibration import benjamini_hochberg_threshold
from headrace.monitor.evidence.columns import MIN_ROWS, ColumnEvidence, as_numbers, column_evidence
from headrace.monitor.evidence.performance import Performance, performance
from headrace.monitor.evidence.variance import Blocks

Outcome = Literal["measured", "empty window", "too few rows", "no reference"]

_FEATURES, _PREDICTION, _LABEL, _PERFORMANCE = 0.25, 0.1, 0.05, 0.1


@dataclass(frozen=True, kw_only=True)
class WindowEvidence:
    """What one window shows.

    outcome: "measured", or why nothing could be. columns: of all features, the largest severity first. drifted: names
    that count; share_drifted: of the features that were judged. excluded: features that are no evidence (calendar).
    prediction, label: distributions of predictions and of matured labels. performance: quality on matured labels.
    rows: of the current window; mature: with a label; censored: whose label will never come. notes: for people.
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
    notes: tuple[str, ...] = field(default=())

    @property
    def measured(self) -> bool:
        return self.outcome == "measured"

    @property
    def alarming(self) -> bool:
        """Does anything at all count in this window: the complete input of a decision, before persistence."""
        distributions = any(column is not None and column.drifted for column in (self.prediction, self.label))
        return bool(self.drifted) or distributions or (self.performance is not None and self.performance.dropped)

    def column(self, name: str) -> ColumnEvidence | None:
        """Evidence of one feature, None where it was not compared."""
        return next((column for column in self.columns if column.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Plain facts for an outbox, a log or a report."""
        return {
            **{name: value for name, value in self.__dict__.items() if isinstance(value, str | int | float)},
            "columns": [column.to_json() for column in self.columns],
            "drifted": list(self.drifted),
            "excluded": list(self.excluded),
            "prediction": self.prediction.to_json() if self.prediction else None,
            "label": self.label.to_json() if self.label else None,
            "performance": self.performance.to_json() if self.performance else None,
            "notes": list(self.notes),
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
    unseen: pa.Table | None = None,
    reference_metrics: Mapping[str, float] | None = None,
    cutoffs_us: NDArray[np.int64] | None = None,
    length_us: int = 0,
    memory_us: Mapping[str, int] | None = None,
    metric: str = "auc",
    censored: int = 0,
    seed: int = 0,
) -> WindowEvidence:
    """Compare a window of logged predictions with the reference.

    Tables hold the features named in `kinds` (name -> numeric, categorical, boolean) and may hold `_prediction` and
    `_label` (null while immature). exclude: features that say when it is, not how the world is. A reference made of
    training rows flatters the model on itself: give `unseen` [any], rows that it had not seen when it made their
    `_prediction`; where they have `_label` and `_cutoff` too, quality is held to theirs, else to `reference_metrics`
    (by name; taken as exact), else to the reference's own. cutoffs_us [rows of current]: days are what the
    quality's bootstrap draws. length_us: of the window; with it and `_cutoff` in the reference no feature is surer than
    the scatter of such windows allows (`monitor.blocks`), else rows are taken as independent. memory_us: feature -> its
    lookback. metric: the problem's; margin: how much worse it must be to count, None: as `performance.MARGINS` says.
    tests, floors, fdr: names of the drift tests that decide, test -> floor, and the false-discovery rate. censored:
    counted by the caller, who knows the spine.
    """
    facts = _counts(reference, current, censored) | {"excluded": tuple(name for name in kinds if name in exclude)}
    if outcome := _unmeasurable(facts["reference_rows"], facts["rows"]):
        return WindowEvidence(outcome=outcome[0], notes=(outcome[1],), **facts)
    assert reference is not None  # both have rows
    assert current is not None

    blocks, lookbacks = _blocks(reference, length_us), memory_us or {}
    options: dict[str, Any] = {"tests": tests, "floors": floors, "blocks": blocks, "seed": seed}
    evidence = [
        column_evidence(
            name, kind, _column(reference, name), _column(current, name), memory_us=lookbacks.get(name, 0), **options
        )
        for name, kind in kinds.items()
        if name not in exclude
    ]
    columns, drifted, share = _features(evidence, fdr * _FEATURES, floors)
    reference_predictions = _column(reference, PREDICTION)
    held_out, scatter = (
        (reference_predictions, None) if unseen is None else (_column(unseen, PREDICTION), reference_predictions)
    )
    prediction = _distribution(
        PREDICTION, "numeric", held_out, current, alpha=fdr * _PREDICTION, scatter=scatter,
        **options | {"blocks": blocks if scatter is not None or unseen is None else None},
    )  # fmt: skip
    labels, label_blocks = _label_blocks(reference, blocks)
    label = _distribution(
        LABEL, "categorical" if METRICS[metric].binary else "numeric", labels, current,
        alpha=fdr * _LABEL, floors=floors, blocks=label_blocks, seed=seed,
    )  # fmt: skip
    if unseen is None and reference_metrics is None:
        unseen = reference
    quality = _quality(unseen, current, reference_metrics, cutoffs_us, metric, margin, fdr * _PERFORMANCE, seed)
    return WindowEvidence(
        outcome="measured",
        columns=columns,
        drifted=drifted,
        share_drifted=share,
        prediction=prediction,
        label=label,
        performance=quality,
        notes=(*_notes(columns, prediction, label, quality), *_independence_note(length_us, blocks)),
        **facts,
    )


def _blocks(reference: pa.Table, length_us: int) -> Blocks | None:
    cutoffs = _column(reference, CUTOFF)
    return None if cutoffs is None or not length_us else Blocks.from_cutoffs(cutoffs.to_numpy(), length_us)


def _independence_note(length_us: int, blocks: Blocks | None) -> tuple[str, ...]:
    """What has to be said where a window was asked for and rows had to do."""
    if not length_us or blocks is not None:
        return ()
    return ("the reference knows no cutoffs: rows are taken as independent",)


def _label_blocks(reference: pa.Table, blocks: Blocks | None) -> tuple[Any, Blocks | None]:
    """Known labels of the reference, and their blocks."""
    labels = _column(reference, LABEL)
    if labels is None or blocks is None:
        return _non_null(labels), blocks
    return labels.drop_null(), blocks.subset(labels.is_valid().to_numpy())


def _counts(reference: pa.Table | None, current: pa.Table | None, censored: int) -> dict[str, Any]:
    labels = None if current is None else _column(current, LABEL)
    return {
        "rows": 0 if current is None else current.num_rows,
        "reference_rows": 0 if reference is None else reference.num_rows,
        "mature": 0 if labels is None else len(labels) - labels.null_count,
        "censored": censored,
    }


def _unmeasurable(reference: int, rows: int) -> tuple[Outcome, str] | None:
    """Why a window of so many rows cannot be measured, and in words; None where it can."""
    if not rows:
        return "empty window", "no predictions in this window"
    if not reference:
        return "no reference", "the champion has no reference profile"
    if min(rows, reference) < MIN_ROWS:
        return (
            "too few rows",
            f"{rows} rows against {reference} of the reference: at least {MIN_ROWS} of each are needed",
        )
    return None


def persistence(history: Sequence[WindowEvidence | Collection[str]], k: int, n: int) -> tuple[str, ...]:
    """Features that drifted in at least k of the last n windows (oldest first), named alphabetically.

    A window is evidence, or the names that drifted in it; one that could not be measured takes no place among the n.
    """
    windows = [
        window.drifted if isinstance(window, WindowEvidence) else window
        for window in history
        if not isinstance(window, WindowEvidence) or window.measured
    ]
    times = Counter(name for window in windows[-n:] for name in set(window)) if n > 0 else Counter()
    return tuple(sorted(name for name, count in times.items() if count >= k))


def _features(
    columns: Sequence[ColumnEvidence], fdr: float, floors: Mapping[str, float] | None
) -> tuple[tuple[ColumnEvidence, ...], tuple[str, ...], float]:
    """Columns judged together; a column that could not be measured takes no part in the correction."""
    tested = [column.p_value for column in columns if column.measures]
    threshold = benjamini_hochberg_threshold(np.array(tested), fdr)
    judged = sorted((column.judged(threshold, floors) for column in columns), key=lambda column: -column.severity)
    drifted = tuple(column.name for column in judged if column.drifted)
    return tuple(judged), drifted, len(drifted) / len(tested) if tested else 0.0


def _distribution(name: str, kind: str, reference: Any, current: pa.Table, **options: Any) -> ColumnEvidence | None:
    values = _column(current, name)
    if reference is None or values is None:
        return None
    return column_evidence(name, kind, reference, _non_null(values) if name == LABEL else values, **options)


def _quality(
    reference: pa.Table | None,
    current: pa.Table,
    metrics: Mapping[str, float] | None,
    cutoffs_us: NDArray[np.int64] | None,
    metric: str,
    margin: float | None,
    alpha: float,
    seed: int,
) -> Performance | None:
    label, prediction = (_numbers(current, name) for name in (LABEL, PREDICTION))
    if label is None or prediction is None:
        return None
    reference_rows: dict[str, Any] = {}
    if reference is not None:
        cutoffs = _column(reference, CUTOFF)
        reference_rows["reference_label"], reference_rows["reference_prediction"] = (
            _numbers(reference, name) for name in (LABEL, PREDICTION)
        )
        reference_rows["reference_cutoffs_us"] = None if cutoffs is None else cutoffs.to_numpy()
    return performance(
        label,
        prediction,
        **reference_rows,
        reference_metrics=metrics,
        cutoffs_us=cutoffs_us,
        metric=metric,
        margin=margin,
        alpha=alpha,
        seed=seed,
    )


def _column(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    return table[name] if name in table.column_names else None


def _non_null(values: Any) -> Any:
    return None if values is None else values.drop_null()


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64] | None:
    column = _column(table, name)
    return None if column is None else as_numbers(column)


def _notes(
    columns: Sequence[ColumnEvidence],
    prediction: ColumnEvidence | None,
    label: ColumnEvidence | None,
    quality: Performance | None,
) -> tuple[str, ...]:
    notes = [f"{column.name}: {column.note}" for column in columns if column.note]
    if prediction is None:
        notes.append("predictions were not compared: a side has none")
    elif prediction.note:
        notes.append(f"predictions: {prediction.note}")
    if label is not None and label.note:
        notes.append(f"labels: {label.note}")
    notes.append("quality: no labels with predictions" if quality is None else f"quality: {quality.note}")
    return tuple(note for note in notes if not note.endswith(": "))
