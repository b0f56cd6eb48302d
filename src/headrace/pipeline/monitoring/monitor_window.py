"""Monitoring a window of production: evidence, decision, outbox, and only then what people and other flows see of it.

The window is the last week of cutoffs on the production clock, and ends on a whole day, unless the problem's
`monitoring` says otherwise. Monitored again, it is the same window and the same decision; the first one counts.
What could not be measured is not put into the outbox, so that it is monitored again: the labels and predictions may
only be late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from headrace.core.clock import floor_to_tick
from headrace.lake.store import Lake
from headrace.monitor.evidence.season import explained_by_season
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from headrace.monitor.outbox.announce import announce
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.causes import with_origins
from headrace.monitor.policy.decision import Decision, Window
from headrace.monitor.policy.policy import decide
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.champion_age import champion_age
from headrace.pipeline.monitoring.champion_reference import ChampionReference, champion_reference, restrict_to_weekdays
from headrace.pipeline.monitoring.current_window import CurrentWindow, current_window
from headrace.pipeline.monitoring.feature_sources import feature_sources
from headrace.pipeline.monitoring.joint_drift import joint_drift
from headrace.pipeline.monitoring.monitor_report import MonitorReport, WindowComparison
from headrace.pipeline.monitoring.predecessor_comparison import loss_against_predecessor
from headrace.pipeline.monitoring.shadow_comparison import predictions_of_shadows, worth_of_refresh
from headrace.pipeline.monitoring.window_estimates import estimated_drops, window_estimates
from headrace.registry.ledger import Ledger
from headrace.schema import Problem

if TYPE_CHECKING:
    from headrace.monitor.report.page import Page

#: The event that asks for a retrain.
RETRAIN_EVENT = "headrace.drift.retrain"


def resource_of(problem: str) -> str:
    """The resource that a problem's events are about."""
    return f"headrace.problem.{problem}"


def monitor_window(context: Context, *, now_us: int, links: Mapping[str, str] | None = None) -> MonitorReport:
    """Compare the last window with the champion's reference, and decide what to do.

    Which window, and what it is compared with, is the problem's `monitoring`; what follows from it is its `policy`.
    No champion, an empty window, no labels yet, a lost reference: each is a decision with its reason, never an error.

    Args:
        context: of the problem.
        now_us: wall clock, for the outbox.
        links: service -> address, for people.
    """
    name, clock = context.problem.name, Lake(context.root, context.problem.name).clock() or 0
    watched = context.problem.monitoring
    end_us = floor_to_tick(clock, watched.every_us)
    start_us = max(end_us - watched.window_us, 0)
    record = Ledger(context.root, name).champion()
    if record is None:
        window = Window(problem=name, start_us=start_us, end_us=end_us, champion=None, measured=False)
        return MonitorReport(problem=name, decision=decide(window))
    reference = champion_reference(context, record)
    if watched.reference == "weekdays":
        reference = restrict_to_weekdays(reference, start_us, end_us)
    current = current_window(context, record.version, reference.kinds, start_us, end_us, clock)
    evidence = compare(context.problem, current, reference, seed=context.seed)
    shadow = predictions_of_shadows(context, record.version, current, end_us, reference.table)
    estimates = window_estimates(
        context, record, reference, current, evidence, start_us=start_us, end_us=end_us, now_us=clock, shadow=shadow
    )
    worth, notes = worth_of_refresh(context, record.version, end_us=end_us, now_us=clock)
    joint = joint_drift(context.problem, reference, current, seed=context.seed)
    evidence = replace(evidence, joint=joint, estimates=estimates, worth=worth)
    window = Window.from_evidence(
        evidence,
        problem=name,
        start_us=start_us,
        end_us=end_us,
        champion=record.version,
        importance=reference.importance,
    )
    previous, saved = loss_against_predecessor(context, record, end_us=end_us, now_us=clock)
    window = replace(window, predecessor=previous, predecessor_worth=saved, **champion_age(context, reference, end_us))
    window = _with_estimates(context, window, reference, evidence)
    if reference.problems or notes:
        window = replace(window, notes=(*window.notes, *reference.problems, *notes))
    comparison = WindowComparison(reference=reference, current=current, evidence=evidence)
    return _decide(context, window, comparison, now_us, links or {})


def _with_estimates(context: Context, window: Window, reference: ChampionReference, evidence: WindowEvidence) -> Window:
    """Add common origins to the findings, and estimated drops where the policy acts on them."""
    definitions = reference.bundle.definitions if reference.bundle else ()
    sources = feature_sources(definitions, context.problem.carrier)
    findings = with_origins(window.findings, sources, [column.name for column in evidence.columns])
    if context.problem.policy.estimates:
        findings = (*estimated_drops(context, evidence), *findings)
    return replace(window, findings=findings)


def compare(problem: Problem, current: CurrentWindow, reference: ChampionReference, *, seed: int = 0) -> WindowEvidence:
    """All evidence of a window, by the problem's drift tests, floors and margin; what seasons explain is no drift."""
    watched = problem.monitoring
    found = window_evidence(
        reference.table,
        current.table,
        reference.kinds,
        exclude=reference.excluded,
        held_out=reference.held_out,
        reference_metrics=reference.metrics,
        cutoffs_us=current.cutoffs_us,
        length_us=reference.spacing_us or current.length_us,
        lookback_us=reference.lookback_us,
        entities=reference.entities,
        reads=reference.reads,
        history=None if reference.spacing_us else current.history,
        start_us=current.start_us,
        metric=problem.metric,
        margin=watched.performance_margin,
        tests=watched.drift_tests,
        floors=watched.floors,
        fdr=watched.false_discovery_rate,
        censored=current.censored,
        seed=seed,
    )
    if current.start_us is None:
        return found
    end_us = current.start_us + current.length_us
    return explained_by_season(found, reference.table, current.table, current.start_us, end_us, watched.floors)


def _decide(
    context: Context, window: Window, comparison: WindowComparison, now_us: int, links: Mapping[str, str]
) -> MonitorReport:
    """Decide, and write the decision into the outbox before anybody is informed."""
    outbox = Outbox(context.root, window.problem)
    history = outbox.history()
    decision = decide(window, history, context.problem.policy)
    if decision.kind == "nothing" and not decision.measured:
        return MonitorReport(problem=window.problem, decision=decision, comparison=comparison)
    entry = announce(outbox, decision, now_us=now_us, links=_links(context, decision, comparison, links))
    return MonitorReport(
        problem=window.problem,
        decision=entry.decision,
        new=all(entry.decision.id != one.decision.id for one in history),
        retrain_is_open=entry.decision.kind == "retrain" and entry.outcome is None,
        comparison=comparison,
    )


def _links(
    context: Context, decision: Decision, comparison: WindowComparison, addresses: Mapping[str, str]
) -> dict[str, str]:
    """Addresses of the services, and of the report where one will be drawn: its page, its file, and its picture."""
    from headrace.monitor.report.paths import page_file, page_path
    from headrace.monitor.report.picture import has_picture, picture_file

    if not is_shown(decision):
        return dict(addresses)
    served = {"report": addresses["Evidently"] + page_path(decision)} if "Evidently" in addresses else {}
    drawn = has_picture(comparison.evidence.estimates)
    picture = {"picture": str(picture_file(context.root, decision))} if drawn else {}
    return {**addresses, **served, "report file": str(page_file(context.root, decision)), **picture}


def is_shown(decision: Decision) -> bool:
    """Whether Evidently's pages show the window of a decision: it was measured, or something drifted in it."""
    return decision.measured or bool(decision.drifted)


def draw(context: Context, report: MonitorReport) -> Page | None:
    """Draw the report of a window, once per decision, and the champion's reference where it was not drawn yet.

    Returns:
        The report; None where nothing was compared, or where it was drawn before.
    """
    from headrace.monitor.report.page import render
    from headrace.monitor.report.paths import page_file
    from headrace.monitor.report.picture import draw_picture, has_picture
    from headrace.monitor.report.reference import ensure_reference

    decision, comparison = report.decision, report.comparison
    if comparison is None or comparison.reference.table is None or not is_shown(decision):
        return None
    if comparison.reference.bundle is not None and decision.champion is not None:
        ensure_reference(context.root, decision.champion, comparison.reference.bundle)
    if page_file(context.root, decision).exists():
        return None
    estimates = comparison.evidence.estimates
    picture = draw_picture(estimates, decision, context.root) if estimates and has_picture(estimates) else None
    return render(
        comparison.reference.table,
        comparison.current.table,
        comparison.reference.kinds,
        evidence=comparison.evidence,
        decision=decision,
        root=context.root,
        importance=comparison.reference.importance,
        picture=picture,
        seed=context.seed,
    )


def link(context: Context, report: MonitorReport) -> bool:
    """Link the report in MLflow, at the version that it is about and at its run. Twice changes nothing.

    `headrace monitor` does not do it: MLflow's client alone takes longer than a comparison.

    Returns:
        Whether MLflow has the link now.
    """
    from headrace.monitor.report.paths import page_file
    from headrace.registry.links import link_report

    decision = report.decision
    if report.address is None or decision.champion is None or not page_file(context.root, decision).exists():
        return False
    return link_report(context.tracking_uri, report.problem, decision.champion, report.address)
