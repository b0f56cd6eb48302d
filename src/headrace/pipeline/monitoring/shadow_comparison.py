"""Compare a champion with its shadows on logged predictions: what a refresh would gain.

A shadow predicts from the features that were logged with the champion's answer, so both saw the same values. A row is
compared with the newest shadow that was fitted before its cutoff: no model has learnt from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.evaluate.metrics import Floats
from headrace.models.bundle import LABEL, PREDICTION, Bundle
from headrace.monitor.worth.days import day_losses
from headrace.monitor.worth.losses import row_losses
from headrace.monitor.worth.worth import WorthEvidence, worth
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.current_window import CurrentWindow, current_window
from headrace.pipeline.production.shadows import Shadow, needed_shadows, read_shadows, readable
from headrace.schema import Worth

#: The newest rows of the reference, for the disagreement of champion and shadow.
_REFERENCE_ROWS = 1_000
#: A shadow with its bundle.
Fitted = tuple[Shadow, Bundle]


def worth_of_refresh(
    context: Context, version: str, *, end_us: int, now_us: int
) -> tuple[WorthEvidence | None, tuple[str, ...]]:
    """Measure what a refresh of a version gains, in the window of the policy's `worth` that ends at `end_us`.

    Args:
        context: of the problem.
        version: the champion.
        end_us: end of the window.
        now_us: a label is mature if it was known before this instant.

    Returns:
        The evidence, None where the policy does not measure it or no shadow is there; and notes for people.
    """
    rules = context.problem.policy.worth
    if rules is None:
        return None, ()
    fitted, notes = readable(context, needed_shadows(read_shadows(context, version), end_us - rules.window_us, end_us))
    if not fitted:
        return None, notes
    start_us = max(end_us - rules.window_us, fitted[0][0].fitted_us)
    kinds = {item.slug: item.kind for item in fitted[0][1].definitions}
    window = current_window(context, version, kinds, start_us, end_us, now_us)
    try:
        return compare_losses(context, fitted, window, rules, end_us), notes
    except DataError as error:
        return None, (*notes, f"the shadow cannot be compared: {error}")


def shadow_predictions(fitted: Sequence[Fitted], window: CurrentWindow, *, threads: int = 1) -> Floats:
    """Predict logged rows [n], each by the newest shadow fitted before its cutoff; NaN where there is none.

    Args:
        fitted: shadows with their bundles, in the order of their fits.
        window: the rows, with the features as they were logged.
        threads: of a prediction.
    """
    newest = np.searchsorted([shadow.fitted_us for shadow, _ in fitted], window.cutoffs_us, side="right") - 1
    predictions = np.full(len(newest), np.nan)
    for number, (_, bundle) in enumerate(fitted):
        rows = newest == number
        if rows.any():
            matrix = _with_all_features(window.table.filter(pa.array(rows)), bundle)
            predictions[rows] = bundle.predict(matrix, threads=threads)
    return predictions


@dataclass(frozen=True, kw_only=True)
class ShadowPredictions:
    """What shadows predict, for a comparison without labels.

    Attributes:
        window: Of the window's rows, each by the newest shadow before it [n]; NaN where there is none.
        reference: Of rows of the champion's reference, by the champion and by the newest shadow [k], [k]. Both have
            learnt from these rows. None without a reference.
    """

    window: Floats
    reference: tuple[Floats, Floats] | None = None


def predictions_of_shadows(
    context: Context, version: str, window: CurrentWindow, end_us: int, reference: pa.Table | None = None
) -> ShadowPredictions | None:
    """Predict the rows of a window by the shadows of a version, for a comparison without labels.

    Args:
        context: of the problem.
        version: the champion.
        window: its logged rows [n].
        end_us: end of the window.
        reference: the champion's reference rows with its predictions.

    Returns:
        None without shadows, or where they cannot predict.
    """
    fitted, _ = readable(context, needed_shadows(read_shadows(context, version), end_us - window.length_us, end_us))
    try:
        return _predictions(context, fitted, window, reference) if fitted else None
    except DataError:
        return None


def _predictions(
    context: Context, fitted: Sequence[Fitted], window: CurrentWindow, reference: pa.Table | None
) -> ShadowPredictions:
    predicted = shadow_predictions(fitted, window, threads=context.workers)
    if reference is None or PREDICTION not in reference.column_names:
        return ShadowPredictions(window=predicted)
    rows = reference.slice(max(reference.num_rows - _REFERENCE_ROWS, 0))
    newest = fitted[-1][1]
    shadow = newest.predict(_with_all_features(rows, newest), threads=context.workers)
    champion = rows[PREDICTION].to_numpy().astype(np.float64)
    return ShadowPredictions(window=predicted, reference=(champion, np.asarray(shadow, dtype=np.float64)))


def compare_losses(
    context: Context, fitted: Sequence[Fitted], window: CurrentWindow, rules: Worth, end_us: int
) -> WorthEvidence:
    """Judge what other models would have saved on the labelled rows of a window.

    Args:
        context: of the problem.
        fitted: models with the instants from which each predicts, in that order.
        window: logged rows with the champion's predictions.
        rules: of the judgement.
        end_us: end of the window.

    Raises:
        DataError: a model cannot predict the rows.
    """
    metric = context.problem.metric
    label, champion = (window.table[name].to_numpy().astype(np.float64) for name in (LABEL, PREDICTION))
    shadow = shadow_predictions(fitted, window, threads=context.workers)
    rows = np.isfinite(label) & np.isfinite(champion) & np.isfinite(shadow)
    cutoffs = window.cutoffs_us[rows]
    none = np.empty(0)
    group = cutoffs // rules.every_us
    losses = [row_losses(metric, label[rows], one[rows], group) if rows.any() else none for one in (champion, shadow)]
    evidence = worth(day_losses(losses[0], losses[1], cutoffs), rules, end_us=end_us)
    judged = [one.fitted_us for one, _ in fitted if rows.any() and one.fitted_us <= cutoffs.max()]
    return replace(evidence, shadow_us=judged[-1] if judged else None)


def _with_all_features(rows: pa.Table, bundle: Bundle) -> pa.Table:
    """The rows with a column of nulls for each feature that none of them has."""
    for name in set(bundle.encoder.names) - set(rows.column_names):
        rows = rows.append_column(name, pa.nulls(rows.num_rows))
    return rows
