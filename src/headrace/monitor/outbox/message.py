"""Compose alerts in plain text from decisions and outcomes; `monitor.alerts` delivers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headrace.core.clock import iso
from headrace.monitor.policy.causes import by_cause, join_names
from headrace.monitor.policy.decision import Decision, Outcome
from headrace.monitor.policy.finding import Finding
from headrace.monitor.worth.wording import describe

Level = Literal["info", "success", "warning", "failure"]
_MAX_CAUSES = 8


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        id: Equal for equal alerts, however often they are composed.
        decision_id: Decision that it is about.
        title, body: Text.
        level: Severity.
        at_us: Instant on the production clock.
        links: Name -> address, for people.
    """

    id: str
    decision_id: str
    title: str
    body: str
    level: Level = "warning"
    at_us: int = 0
    links: Mapping[str, str] = field(default_factory=dict)


def decision_alert(decision: Decision, links: Mapping[str, str] | None = None) -> Alert | None:
    """Compose the alert of a decision: what drifted, how much, its cost, links; None for a decision to do nothing."""
    if decision.kind == "nothing":
        return None
    links = {**decision.links, **(links or {})}
    if decision.escalated:
        headline, level = "retraining does not help, a person is needed", "failure"
    elif decision.rollback_to is not None:
        headline, level = f"back to {_version(decision.rollback_to)}", "warning"
    elif decision.kind == "retrain":
        headline, level = "retraining", "warning"
    else:
        headline, level = "look at this", "warning"
    lines = [
        decision.reason + ".",
        "",
        f"Window: {iso(decision.start_us)} to {iso(decision.end_us)}, {decision.rows:,} predictions of"
        f" {_version(decision.champion)}; {decision.mature:,} labels matured, {decision.censored:,} are overdue.",
        _cost(decision),
        *_impact(decision),
        *_worth(decision),
        *_findings(decision.drifted),
        *_links(links),
        f"Decision {decision.id}.",
    ]
    return Alert(
        id=f"{decision.id}:{decision.kind}",
        decision_id=decision.id,
        title=f"Headrace {decision.problem}: {headline}",
        body="\n".join(lines),
        level=level,  # type: ignore[arg-type]
        at_us=decision.end_us,
        links=links,
    )


def outcome_alert(
    decision: Decision,
    outcome: Outcome,
    reason: str,
    *,
    version: str | None = None,
    at_us: int,
    links: Mapping[str, str] | None = None,
) -> Alert:
    """Compose the alert of a finished retrain: its outcome and the reason."""
    levels: dict[Outcome, Level] = {
        "promoted": "success",
        "in rollout": "info",
        "refused": "warning",
        "not comparable": "warning",
        "superseded": "info",
    }
    headlines: dict[Outcome, str] = {
        "promoted": f"{_version(version)} is champion",
        "in rollout": f"{_version(version)} is compared with the champion in production",
        "refused": "the challenger was refused",
        "not comparable": "the challenger cannot be compared yet",
        "superseded": "the retrain is not needed any more",
    }
    links = {**decision.links, **(links or {})}
    lines = [
        f"{reason}.",
        "",
        f"The retrain answered: {decision.reason}.",
        f"Champion before: {_version(decision.champion)}.",
        *_links(links),
        f"Decision {decision.id}.",
    ]
    return Alert(
        id=f"{decision.id}:{outcome}",
        decision_id=decision.id,
        title=f"Headrace {decision.problem}: {headlines.get(outcome, 'the retrain failed')}",
        body="\n".join(lines),
        level=levels.get(outcome, "failure"),
        at_us=at_us,
        links=links,
    )


def _cost(decision: Decision) -> str:
    if not decision.costs:
        return "Cost: not known yet, too few labels have matured."
    return "Cost on matured labels: " + ", ".join(
        f"{name} {abs(drop):.3g} {'worse' if drop > 0 else 'better'}" for name, drop in decision.costs.items()
    )


def _impact(decision: Decision) -> list[str]:
    return ["", *(f"{sentence}." for sentence in decision.impact)] if decision.impact else []


def _worth(decision: Decision) -> list[str]:
    """What a refresh gains, unless the reason says so already."""
    if decision.worth is None or (text := describe(decision.worth)) in decision.reason:
        return []
    return [f"{text[0].upper()}{text[1:]}."]


def _findings(findings: tuple[Finding, ...]) -> list[str]:
    if not findings:
        return []
    groups = by_cause(findings)
    lines = [
        "",
        f"What drifted ({_count(len(findings), 'finding')} of {_count(len(groups), 'cause')}), the costliest first:",
        *(f"- {_group(group)}" for group in groups[:_MAX_CAUSES]),
    ]
    return [*lines, f"- and {len(groups) - _MAX_CAUSES} more"] if len(groups) > _MAX_CAUSES else lines


def _group(group: tuple[Finding, ...]) -> str:
    """The costliest finding of a cause, and the names of the others."""
    first, others = group[0], group[1:]
    if not others:
        return _line(first)
    names = join_names([finding.name for finding in others])
    return f"{first.origin} ({_count(len(group), 'feature')}): {_line(first)}; also {names}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _line(finding: Finding) -> str:
    if finding.about == "quality":
        return f"{finding.name}: worse by {finding.effect:.3g}"
    name = finding.name if finding.about in ("feature", "joint") else f"the {finding.about}s"
    parts = [f"{finding.test} {finding.effect:.3g}"]
    if finding.floor:
        parts.append(f"{finding.severity:.1f} times what matters")
    if finding.cost is not None and finding.cost >= 2 * finding.cost_error:
        parts.append(f"adds about {finding.cost:.2g} to the loss of a row")
    if finding.weight is not None:
        parts.append(f"{finding.weight:.1%} of the model's importance")
    if finding.note:
        parts.append(finding.note)
    return f"{name}: {', '.join(parts)}"


def _links(links: Mapping[str, str]) -> list[str]:
    return ["", *(f"{name}: {address}" for name, address in links.items())] if links else [""]


def _version(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"
