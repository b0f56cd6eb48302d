"""Estimate what a monitored window will cost, from the champion's held-out rows and its logged predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.errors import HeadraceError
from headrace.lake.store import Lake
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION, Bundle
from headrace.models.design import Design
from headrace.monitor.estimates.attribution import Attribution, attribution_drift
from headrace.monitor.estimates.delay import LabelDelay, label_delay
from headrace.monitor.estimates.direct_loss import estimate_regression
from headrace.monitor.estimates.disagreement import Disagreement, disagreement
from headrace.monitor.estimates.expected import COST, DecisionRule
from headrace.monitor.estimates.performance import MIN_LABELS, HeldOut, PerformanceEstimate, estimate_binary
from headrace.monitor.estimates.slices import DailyLoss
from headrace.monitor.estimates.window import WindowEstimates
from headrace.monitor.evidence.performance import MARGINS, RELATIVE_MARGINS
from headrace.monitor.evidence.variance import Blocks
from headrace.monitor.evidence.window import WindowEvidence
from headrace.monitor.policy.finding import Finding
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.champion_reference import ChampionReference
from headrace.pipeline.monitoring.current_window import CurrentWindow, current_window
from headrace.pipeline.monitoring.shadow_comparison import ShadowPredictions
from headrace.pipeline.monitoring.window_slices import SlicedWindow, column_floats, loss_name
from headrace.registry.ledger_tables import Record
from headrace.synthesis.spine.build import build_spine

Floats = NDArray[np.float64]

#: Share of the false-discovery rate for an estimated drop, as for a measured one.
_ESTIMATES = 0.1
#: Rows of the window whose SHAP values are computed (2 ms each), half as many as of the reference; past windows.
_SHAP_ROWS, _PAST_WINDOWS = 300, 4


def window_estimates(
    context: Context,
    record: Record,
    reference: ChampionReference,
    current: CurrentWindow,
    evidence: WindowEvidence,
    *,
    start_us: int,
    end_us: int,
    now_us: int,
    shadow: ShadowPredictions | None = None,
) -> WindowEstimates | None:
    """Compute all estimates of a measured window. What cannot be estimated is a note, and raises nothing.

    Args:
        context: of the problem.
        record: the champion's entry in the ledger.
        reference: the champion's reference.
        current: the window's predictions and labels.
        evidence: of the window.
        start_us: start of the window.
        end_us: its end.
        now_us: the production clock.
        shadow: the shadow's predictions.
    """
    bundle = reference.bundle
    if not evidence.measured or bundle is None:
        return None
    problem, table = context.problem, current.table
    prediction, label = column_floats(table, PREDICTION), column_floats(table, LABEL)
    performance, note = _performance(context, bundle, reference, current, prediction, label)
    attribution, another = _attribution(bundle, reference, current)
    estimates = WindowEstimates(
        rows=len(prediction),
        performance=performance,
        currency=problem.costs.currency if problem.costs else "",
        delay=_delay(context, current, label, start_us, end_us, now_us),
        disagreement=_disagreement(context, current, prediction, shadow),
        attribution=attribution,
        loss=loss_name(problem.metric),
        notes=tuple(text for text in (note, another) if text),
    )
    held_out = reference.held_out_rows
    if held_out is None:
        note = "slices: the champion's bundle has no held-out rows with features; the next retrain adds them"
        return replace(estimates, notes=(*estimates.notes, note))
    sides = SlicedWindow(reference=reference, evidence=evidence, held_out=held_out, metric=problem.metric)
    past_us = start_us - _PAST_WINDOWS * (end_us - start_us)
    return _with_slices(
        estimates,
        sides,
        current,
        lambda: current_window(context, record.version, reference.kinds, past_us, start_us, now_us),
    )


def _with_slices(
    estimates: WindowEstimates, sides: SlicedWindow, current: CurrentWindow, read_earlier: Callable[[], CurrentWindow]
) -> WindowEstimates:
    """Add slices and the loss by day. Earlier windows are read only where there is something to show."""
    slices = sides.worse(current)
    daily: tuple[DailyLoss, ...] = ()
    if slices or sides.evidence.alarming:
        windows = [read_earlier(), current]
        daily = sides.daily(windows, slices[0] if slices else None)
        slices = tuple(
            replace(one, since_us=sides.since(one, windows)) if rank == 0 else one for rank, one in enumerate(slices)
        )
    return replace(estimates, slices=slices, daily=daily, shift_costs=sides.shift_costs(current))


def _disagreement(
    context: Context, current: CurrentWindow, prediction: Floats, shadow: ShadowPredictions | None
) -> Disagreement | None:
    if shadow is None:
        return None
    problem = context.problem
    return disagreement(
        prediction,
        shadow.window,
        current.cutoffs_us,
        binary=problem.label_expression.binary,
        threshold=problem.costs.decision_threshold if problem.costs else None,
        reference=shadow.reference,
        seed=context.seed,
    )


def estimated_drops(context: Context, evidence: WindowEvidence) -> tuple[Finding, ...]:
    """Findings of metrics whose estimate dropped significantly, by at least the margin of a measured drop."""
    problem, estimates = context.problem, evidence.estimates
    own = problem.monitoring.performance_margin
    margins = MARGINS if own is None else {**MARGINS, problem.metric: own}
    found = []
    for one in estimates.performance if estimates else ():
        if one.metric not in margins or one.metric != problem.metric:
            continue
        margin = margins[one.metric] * (abs(one.reference) if one.metric in RELATIVE_MARGINS else 1.0)
        if one.p_value <= problem.monitoring.false_discovery_rate * _ESTIMATES and one.drop >= margin:
            found.append(
                Finding(name=one.metric, about="estimate", test="estimate", effect=one.drop, p_value=one.p_value)
            )
    return tuple(found)


def _rule(context: Context) -> DecisionRule:
    costs = context.problem.costs
    if costs is None:
        return DecisionRule()
    return DecisionRule(
        threshold=costs.decision_threshold,
        false_positive=costs.false_positive,
        false_negative=costs.false_negative,
    )


def _performance(
    context: Context,
    bundle: Bundle,
    reference: ChampionReference,
    current: CurrentWindow,
    prediction: Floats,
    label: Floats,
) -> tuple[tuple[PerformanceEstimate, ...], str]:
    """Estimate the problem's metrics, or say why not."""
    problem = context.problem
    gate = reference.held_out if problem.label_expression.binary else reference.held_out_rows
    if gate is None or not {LABEL, CUTOFF} <= set(gate.column_names):
        return (), "performance is not estimated: the champion's bundle has no held-out rows"
    known = np.isfinite(column_floats(gate, LABEL)) & np.isfinite(column_floats(gate, PREDICTION))
    gate = gate.filter(pa.array(known)).sort_by(CUTOFF)
    held_out = HeldOut(
        prediction=column_floats(gate, PREDICTION), label=column_floats(gate, LABEL), cutoffs_us=gate[CUTOFF].to_numpy()
    )
    one_class = problem.label_expression.binary and len(np.unique(held_out.label)) < 2
    if len(held_out.label) < MIN_LABELS or one_class:
        return (), f"performance is not estimated: {len(held_out.label)} held-out rows" + (" of one class" * one_class)
    complete = np.isfinite(prediction)
    rows, cutoffs, labels = prediction[complete], current.cutoffs_us[complete], label[complete]
    if not problem.label_expression.binary:
        designs = [_design(bundle, side) for side in (gate, current.table.filter(pa.array(complete)))]
        if designs[0] is None or designs[1] is None:
            return (), "performance is not estimated: a feature cannot be read"
        metrics = [problem.metric, *("rmse", "mae")] if problem.metric in ("rmse", "mae") else ["rmse", "mae"]
        metrics = list(dict.fromkeys(metrics))
        return estimate_regression(
            held_out, designs[0], designs[1], rows, cutoffs, metrics=tuple(metrics), label=labels, seed=context.seed
        ), ""
    own = () if problem.metric == "ndcg" else (problem.metric,)  # its estimate is not known
    names = dict.fromkeys((*own, "auc", "log_loss", "brier", "accuracy", "f1"))
    metrics_of_costs = (COST,) if problem.costs else ()
    estimates, _ = estimate_binary(
        held_out,
        rows,
        cutoffs,
        metrics=(*names, *metrics_of_costs),
        label=labels,
        rule=_rule(context),
        seed=context.seed,
    )
    return estimates, ""


def _delay(
    context: Context, current: CurrentWindow, label: Floats, start_us: int, end_us: int, now_us: int
) -> LabelDelay | None:
    """Model the delay of labels over the windows before this one and this one."""
    problem = context.problem
    spine = build_spine(
        problem,
        Lake(context.root, problem.name).snapshot(),
        start_us=start_us - _PAST_WINDOWS * (end_us - start_us),
        end_us=end_us,
        now_us=now_us,
        engine=context.engine,
    )
    cutoffs, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
    return label_delay(cutoffs, known, current.cutoffs_us, np.isfinite(label), now_us=now_us)


def _attribution(
    bundle: Bundle, reference: ChampionReference, current: CurrentWindow
) -> tuple[Attribution | None, str]:
    """Compare mean |SHAP| with windows of the reference, or say why not."""
    table = reference.table
    if table is None or CUTOFF not in table.column_names:
        return None, "attribution is not compared: the reference has no cutoffs"
    rows, now = _spread(table, 2 * _SHAP_ROWS), _spread(current.table, _SHAP_ROWS)
    designs = [_design(bundle, side) for side in (rows, now)]
    if designs[0] is None or designs[1] is None:
        return None, "attribution is not compared: a feature cannot be read"
    blocks = Blocks.from_cutoffs(rows[CUTOFF].to_numpy(), reference.spacing_us or current.length_us)
    contributions = [bundle.fitted.contributions(design) for design in designs if design is not None]
    found = attribution_drift(bundle.encoder.names, contributions[0], blocks.ids, contributions[1])
    return found, "" if found else "attribution is not compared: the reference has fewer than four windows"


def _design(bundle: Bundle, table: pa.Table) -> Design | None:
    """Encode the features of a table; a column that is gone is missing in every row. None where one cannot be read."""
    columns = {
        name: table[name] if name in table.column_names else pa.nulls(table.num_rows, pa.float64())
        for name in bundle.encoder.names
    }
    try:
        return bundle.encoder.encode(pa.table(columns))
    except (HeadraceError, pa.ArrowInvalid):
        return None


def _spread(table: pa.Table, rows: int) -> pa.Table:
    """Take every k-th row, so that at most `rows` remain and all of the time is covered."""
    step = -(-table.num_rows // rows)
    return table.take(pa.array(np.arange(0, table.num_rows, max(step, 1))))
