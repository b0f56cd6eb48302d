"""The values of the policy, all JSON-able: the summary of a window, its findings, the decision, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.fingerprint import fingerprint
from headrace.monitor.policy.finding import Finding, Subject, column_finding, joint_finding
from headrace.monitor.worth.worth import WorthEvidence

if TYPE_CHECKING:
    from headrace.monitor.evidence.columns import ColumnEvidence
    from headrace.monitor.evidence.window import WindowEvidence

Kind = Literal["nothing", "alert", "retrain"]
#: "not comparable": too few rows that neither model was trained on, so the challenger cannot be judged. "in rollout":
#: it passed the gate, and is compared with the champion in production.
Outcome = Literal["promoted", "in rollout", "refused", "not comparable", "failed", "superseded"]


@dataclass(frozen=True, kw_only=True)
class Window:
    """The summary of a window [start_us, end_us) on the production clock, as the policy needs it.

    Attributes:
        problem: Name of the problem.
        start_us, end_us: The window, microseconds UTC.
        champion: Version of the champion, None where there is none.
        measured: Whether the window was measured.
        blind: Whether monitoring cannot work without a person, because the champion has no reference.
        outcome: "measured", or why not.
        findings: What drifted.
        judged: Number of features that were tested.
        costs: Metric -> how much worse it is on matured labels (positive is worse), significant or not.
        rows, mature, censored: Rows of the window, with a label, and whose label will never come.
        age_us: How long before the window's end the champion's training data end; None where unknown.
        new_rows: Rows with a label since then, as a share of the champion's training rows; None where not counted.
        impact: What the window costs, as estimated and measured: sentences for people.
        worth: What a refresh gains; None where there is no shadow to compare with.
        predecessor: The champion before, where the policy may roll back to it.
        predecessor_worth: What it would have saved since the champion was promoted.
        notes: Remarks for people.
    """

    problem: str
    start_us: int
    end_us: int
    champion: str | None
    measured: bool = True
    blind: bool = False
    outcome: str = "measured"
    findings: tuple[Finding, ...] = ()
    judged: int = 0
    costs: Mapping[str, float] = field(default_factory=dict)
    rows: int = 0
    mature: int = 0
    censored: int = 0
    age_us: int | None = None
    new_rows: float | None = None
    impact: tuple[str, ...] = ()
    worth: WorthEvidence | None = None
    predecessor: str | None = None
    predecessor_worth: WorthEvidence | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_evidence(
        cls,
        evidence: WindowEvidence,
        *,
        problem: str,
        start_us: int,
        end_us: int,
        champion: str | None,
        importance: Mapping[str, float] | None = None,
    ) -> Window:
        """Summarise the evidence of a window.

        Args:
            evidence: From `window_evidence`.
            problem: Name of the problem.
            start_us, end_us: The window.
            champion: Version of the champion.
            importance: Feature -> its share of the model's importance (mean |SHAP|).
        """
        costs = evidence.estimates.shift_costs if evidence.estimates else {}
        feature_findings = [
            column_finding(column, "feature", importance or {}, costs.get(column.name))
            for column in evidence.columns
            if column.drifted
        ]
        distributions: tuple[tuple[ColumnEvidence | None, Subject], ...] = (
            (evidence.prediction, "prediction"),
            (evidence.label, "label"),
        )
        distribution_findings = [
            column_finding(column, about, {})
            for column, about in distributions
            if column is not None and column.drifted
        ]
        metrics = evidence.performance.metrics if evidence.performance else {}
        quality_findings = [
            Finding(name=name, about="quality", test="bootstrap", effect=metric.drop, p_value=metric.p_value)
            for name, metric in metrics.items()
            if metric.dropped
        ]
        return cls(
            problem=problem,
            start_us=start_us,
            end_us=end_us,
            champion=champion,
            measured=evidence.measured,
            blind=evidence.outcome == "no reference",
            outcome=evidence.outcome,
            findings=(*quality_findings, *distribution_findings, *joint_finding(evidence), *feature_findings),
            judged=sum(bool(column.measures) for column in evidence.columns),
            costs={name: metric.drop for name, metric in metrics.items() if metric.reference is not None},
            rows=evidence.rows,
            mature=evidence.mature,
            censored=evidence.censored,
            impact=evidence.estimates.sentences() if evidence.estimates else (),
            worth=evidence.worth,
            notes=evidence.notes,
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do about a window, and why.

    Attributes:
        id: Equal for the same problem, window and champion.
        problem: Name of the problem.
        kind: What to do.
        reason: Why, for people.
        start_us, end_us: The window.
        champion: Version of the champion.
        measured: Whether the window was measured.
        drifted: Findings of the window.
        confirmed: Topics that occur in k of the last n windows.
        topics: Topics that this decision reports.
        costs, judged, rows, mature, censored, age_us, new_rows, impact, worth: As in `Window`.
        predecessor, predecessor_worth: As in `Window`.
        rollback_to: Of a retrain: the version that becomes champion again; None where it brings a newer model.
        shadow_us: Of a retrain: the shadow, by the instant of its fit, that is promoted; None trains a new model.
        escalated: Whether it is an escalation.
        reselect: Whether a retrain selects features and family again.
        links: Name -> address, for people; not part of the id.
    """

    id: str
    problem: str
    kind: Kind
    reason: str
    start_us: int
    end_us: int
    champion: str | None
    measured: bool = True
    drifted: tuple[Finding, ...] = ()
    confirmed: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    judged: int = 0
    rows: int = 0
    mature: int = 0
    censored: int = 0
    age_us: int | None = None
    new_rows: float | None = None
    impact: tuple[str, ...] = ()
    worth: WorthEvidence | None = None
    predecessor: str | None = None
    predecessor_worth: WorthEvidence | None = None
    shadow_us: int | None = None
    rollback_to: str | None = None
    escalated: bool = False
    reselect: bool = False
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        """How much worse the worst metric is on matured labels; None without matured labels."""
        return max(self.costs.values(), default=None)

    def to_json(self) -> dict[str, Any]:
        evidence = {"worth": self.worth, "predecessor_worth": self.predecessor_worth}
        return {**asdict(self), **{name: one.to_json() if one else None for name, one in evidence.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """Read the result of `to_json`; unknown fields are ignored."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in data.items() if name in known}
        values.update((name, tuple(value)) for name, value in values.items() if isinstance(value, list))
        values["drifted"] = tuple(Finding(**finding) for finding in data.get("drifted", ()))
        for name in ("worth", "predecessor_worth"):
            if values.get(name):
                values[name] = WorthEvidence.from_json(values[name])
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Acknowledgement:
    """That a person has seen the alert of a decision.

    Attributes:
        who: Name of the person.
        at_us: When, wall clock, microseconds UTC.
        note: What the person says about it.
    """

    who: str
    at_us: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PastDecision:
    """An earlier decision with its outcome; None for an unfinished retrain, and for other kinds.

    acknowledged: the first acknowledgement of its alert, None where nobody has acknowledged it.
    """

    decision: Decision
    outcome: Outcome | None = None
    outcome_reason: str = ""
    acknowledged: Acknowledgement | None = None


def decision_id(problem: str, start_us: int, end_us: int, champion: str | None, extra: str = "") -> str:
    """Return the id of a decision: 16 hex digits, equal in every process."""
    return fingerprint([problem, start_us, end_us, champion, extra])[:16]
