"""What `headrace monitor` and the monitoring flow show: a decision about a window, and the evidence behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.core.clock import iso
from headrace.monitor.evidence.window import WindowEvidence
from headrace.monitor.policy.decision import Decision
from headrace.monitor.worth.wording import describe
from headrace.pipeline.monitoring.champion_reference import ChampionReference
from headrace.pipeline.monitoring.current_window import CurrentWindow
from headrace.pipeline.report import Artifact, artifact_key


@dataclass(frozen=True, kw_only=True)
class WindowComparison:
    """Both sides of a window, and the evidence from comparing them."""

    reference: ChampionReference
    current: CurrentWindow
    evidence: WindowEvidence


@dataclass(frozen=True, kw_only=True)
class MonitorReport:
    """The decision about a window.

    Attributes:
        problem: its name.
        decision: what is to be done, and why.
        new: whether it was decided just now.
        retrain_is_open: whether it asks for a retrain that nobody has finished.
        comparison: what it was decided on. None where there is no champion.
    """

    problem: str
    decision: Decision
    new: bool = False
    retrain_is_open: bool = False
    comparison: WindowComparison | None = field(default=None, repr=False)

    @property
    def evidence(self) -> WindowEvidence | None:
        """The evidence, where there is a champion."""
        return self.comparison.evidence if self.comparison else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be measured, or is new, for people."""
        found = self.comparison
        if found is None:
            return ()
        estimates = found.evidence.estimates
        return (*found.evidence.notes, *(estimates.notes if estimates else ()), *found.reference.problems)

    @property
    def event(self) -> dict[str, Any]:
        """The payload of the event that wakes the retrain."""
        return {"decision": self.decision.id, "problem": self.problem, "reason": self.decision.reason}

    def rows(self) -> list[dict[str, Any]]:
        """A table for people: metrics, the worth of a refresh, all features together, each feature that drifted."""
        quality = self.evidence.performance.metrics if self.evidence and self.evidence.performance else {}
        measured = [
            {"what": name, "now": _round(found.value), "reference": _round(found.reference), "drifted": found.dropped}
            for name, found in quality.items()
        ]
        estimates = self.evidence.estimates if self.evidence else None
        measured += [
            {
                "what": f"{one.metric}, estimated",
                "now": f"{_round(one.value)} ({_round(one.low)} to {_round(one.high)})",
                "reference": _round(one.reference),
            }
            for one in (estimates.performance if estimates else ())
        ]
        if self.evidence and (worth := self.evidence.worth):
            gain, required = _round(worth.gain), _round(worth.required)
            measured.append(
                {"what": "gain of a refresh", "now": gain, "reference": required, "drifted": worth.worth_it}
            )
        if self.evidence and (joint := self.evidence.joint):
            auc, usual = _round(joint.auc), _round(joint.usual_auc)
            measured.append(
                {"what": "features together, AUC", "now": auc, "reference": usual, "drifted": joint.drifted}
            )
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
        impact = ["", *(f"- {sentence}." for sentence in decision.impact)] if decision.impact else []
        if decision.worth and (text := describe(decision.worth)) not in decision.reason:
            lines += ["", f"{text[0].upper()}{text[1:]}."]
        links = [f"- {name}: {address}" for name, address in decision.links.items()]
        notes = ["", "Notes:", "", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*lines, *impact, "", *links, *notes])

    @property
    def address(self) -> str | None:
        """Where the report is: its page where pages are served, else its file; None where none is drawn."""
        links = self.decision.links
        file = Path(links["report file"]).as_uri() if "report file" in links else None
        return links.get("report", file)

    def artifacts(self) -> tuple[Artifact, ...]:
        """What a flow publishes."""
        key = artifact_key(self.problem, "monitor")
        made = [Artifact(key=key, kind="markdown", data=self.text(), description=self.decision.reason)]
        if self.address:
            made.append(Artifact(key=f"{key}-report", kind="link", data=self.address, description="What drifted"))
        if rows := self.rows():
            made.append(Artifact(key=f"{key}-evidence", kind="table", data=rows))
        return tuple(made)


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
