"""Monitoring a window of production: evidence, decision, outbox, and only then what people and other flows see of it.

The window is the last week of cutoffs on the production clock, and ends on a whole day, unless the problem's
`monitoring` says otherwise: looked at again it is the same window and the same decision, of which the first stands.
What could not be measured is not put into the outbox, so that it is looked at again: the labels and predictions may
only be late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.clock import floor_to_tick, iso
from headrace.lake.store import Lake
from headrace.monitor.evidence.window import WindowEvidence
from headrace.monitor.outbox.announce import announce
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Decision, Window
from headrace.monitor.policy.policy import decide
from headrace.pipeline.context import Context
from headrace.pipeline.operations.window import Current, Held, current_window, held_to, judge, of_weekdays
from headrace.pipeline.report import Artifact
from headrace.registry.ledger import Ledger

if TYPE_CHECKING:
    from headrace.monitor.report.page import Page

#: What a retrain is asked for with, and of which resource.
RETRAIN_EVENT = "headrace.drift.retrain"


def resource_of(problem: str) -> str:
    """The resource that a problem's events are about."""
    return f"headrace.problem.{problem}"


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Both sides of a window, and what they show."""

    held: Held
    current: Current
    evidence: WindowEvidence


@dataclass(frozen=True, kw_only=True)
class MonitorReport:
    """What became of a look at a window. owed: a retrain that nobody has finished. new: it was decided just now.

    looked: what it was decided on, None where there is no champion.
    """

    problem: str
    decision: Decision
    new: bool = False
    open_retrains: bool = False
    looked: Looked | None = field(default=None, repr=False)

    @property
    def evidence(self) -> WindowEvidence | None:
        return self.looked.evidence if self.looked else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What stood in the way of evidence, or is new, for people."""
        return (*self.looked.evidence.notes, *self.looked.held.problems) if self.looked else ()

    @property
    def event(self) -> dict[str, Any]:
        """The payload of the event that wakes the retrain."""
        return {"decision": self.decision.id, "problem": self.problem, "reason": self.decision.reason}

    def rows(self) -> list[dict[str, Any]]:
        """A table for people: every metric, then every feature that drifted."""
        quality = self.evidence.performance.metrics if self.evidence and self.evidence.performance else {}
        measured = [
            {"what": name, "now": _round(found.value), "reference": _round(found.reference), "drifted": found.dropped}
            for name, found in quality.items()
        ]
        columns = self.evidence.columns if self.evidence else ()
        return measured + [
            {"what": one.name, "test": one.test, "effect": _round(one.effect), "floor": _round(one.floor)}
            for one in columns
            if one.drifted
        ]

    def text(self) -> str:
        """The decision as Markdown."""
        decision = self.decision
        lines = [
            f"## {self.problem}: {decision.kind}",
            "",
            decision.reason,
            "",
            f"Window {iso(decision.start_us)} to {iso(decision.end_us)}, {decision.rows:,} predictions of version "
            f"{decision.champion or '(none)'}, {decision.mature:,} with a label, {decision.censored:,} overdue.",
        ]
        links = [f"- {name}: {address}" for name, address in decision.links.items()]
        notes = ["", "Notes:", "", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*lines, *links, *notes])

    @property
    def address(self) -> str | None:
        """Where the report is: its page where pages are served, else its file; None where none is drawn."""
        links = self.decision.links
        file = Path(links["report file"]).as_uri() if "report file" in links else None
        return links.get("report", file)

    def artifacts(self) -> tuple[Artifact, ...]:
        """What a flow publishes."""
        key = f"{self.problem.lower().replace('_', '-')}-monitor"
        made = [Artifact(key=key, kind="markdown", data=self.text(), description=self.decision.reason)]
        if self.address:
            made.append(Artifact(key=f"{key}-report", kind="link", data=self.address, description="What drifted"))
        if rows := self.rows():
            made.append(Artifact(key=f"{key}-evidence", kind="table", data=rows))
        return tuple(made)


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def monitor_window(
    context: Context,
    *,
    now_us: int,
    links: Mapping[str, str] | None = None,
) -> MonitorReport:
    """Look at the last window and decide. now_us: wall clock, for the outbox. links: service -> address, for people.

    Which window, and what it is compared with, is the problem's `monitoring`; what follows from it is its `policy`.
    No champion, an empty window, no labels yet, a lost reference: each is a decision with its reason, never an error.
    """
    name, clock = context.problem.name, Lake(context.root, context.problem.name).clock() or 0
    watched = context.problem.monitoring
    end_us = floor_to_tick(clock, watched.every_us)
    start_us = max(end_us - watched.window_us, 0)
    record = Ledger(context.root, name).champion()
    if record is None:
        window = Window(problem=name, start_us=start_us, end_us=end_us, champion=None, measured=False)
        return MonitorReport(problem=name, decision=decide(window))
    held = held_to(context, record)
    if watched.reference == "weekdays":
        held = of_weekdays(held, start_us, end_us)
    current = current_window(context, record.version, held.kinds, start_us, end_us, clock)
    looked = Looked(held=held, current=current, evidence=judge(context.problem, current, held, seed=context.seed))
    window = Window.from_evidence(
        looked.evidence,
        problem=name,
        start_us=start_us,
        end_us=end_us,
        champion=record.version,
        importance=held.importance,
    )
    if held.problems:
        window = replace(window, notes=(*window.notes, *held.problems))
    return _decide(context, window, looked, now_us, links or {})


def _decide(
    context: Context,
    window: Window,
    looked: Looked,
    now_us: int,
    links: Mapping[str, str],
) -> MonitorReport:
    """Decide, and write it down before anybody is told."""
    outbox = Outbox(context.root, window.problem)
    history = outbox.history()
    decision = decide(window, history, context.problem.policy)
    if decision.kind == "nothing" and not decision.measured:
        return MonitorReport(problem=window.problem, decision=decision, looked=looked)
    entry = announce(outbox, decision, now_us=now_us, links=_links(context, decision, links))
    return MonitorReport(
        problem=window.problem,
        decision=entry.decision,
        new=all(entry.decision.id != one.decision.id for one in history),
        open_retrains=entry.decision.kind == "retrain" and entry.outcome is None,
        looked=looked,
    )


def _links(context: Context, decision: Decision, addresses: Mapping[str, str]) -> dict[str, str]:
    """Of the services, and of the report where one will be drawn: its page, and its file for when no page is served."""
    from headrace.monitor.report.page import page_file, page_path

    if not decision.drifted:
        return dict(addresses)
    served = {"report": addresses["Evidently"] + page_path(decision)} if "Evidently" in addresses else {}
    return {**addresses, **served, "report file": str(page_file(context.root, decision))}


def draw(context: Context, report: MonitorReport) -> Page | None:
    """Render what drifted, once per decision; None where nothing did, or where it is there already."""
    from headrace.monitor.report.page import page_file, render

    decision, looked = report.decision, report.looked
    if looked is None or looked.held.table is None or not decision.drifted:
        return None
    if page_file(context.root, decision).exists():
        return None
    return render(
        looked.held.table,
        looked.current.table,
        looked.held.kinds,
        evidence=looked.evidence,
        decision=decision,
        root=context.root,
        importance=looked.held.importance,
        seed=context.seed,
    )


def link(context: Context, report: MonitorReport) -> bool:
    """Name the report in MLflow, at the version that it is about and at its run; whether it is named there now.

    Done again it is done. Not by `headrace monitor`: MLflow's client alone takes longer than a look.
    """
    from headrace.monitor.report.page import page_file
    from headrace.registry.links import link_report

    decision = report.decision
    if report.address is None or decision.champion is None or not page_file(context.root, decision).exists():
        return False
    return link_report(context.tracking_uri, report.problem, decision.champion, report.address)
