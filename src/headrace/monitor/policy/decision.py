"""The values of the policy, all JSON-able: the summary of a window, its findings, the decision, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.fingerprint import fingerprint
from headrace.monitor.worth.worth import WorthEvidence

if TYPE_CHECKING:
    from headrace.monitor.evidence.columns import ColumnEvidence
    from headrace.monitor.evidence.window import WindowEvidence

Kind = Literal["nothing", "alert", "retrain"]
#: "not comparable": too few rows that neither model was trained on, so the challenger cannot be judged.
Outcome = Literal["promoted", "refused", "not comparable", "failed", "superseded"]
Subject = Literal["feature", "prediction", "label", "quality", "estimate", "joint"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One drifted feature, distribution or metric of a window.

    Attributes:
        name: Slug of the feature, or name of the metric.
        about: What drifted.
        test: Drift test.
        effect: In the unit of the test; of a metric, how much worse it is.
        floor: Smallest effect that matters.
        p_value: Of the test.
        weight: The feature's share of the model's importance, None where unknown.
        broken: Whether the column is missing, empty or unreadable.
        note: Remark for people.
        origin: The table, or the column of a table, from which this and other findings come (`policy.causes`); ""
            where the finding stands alone.
        cost: Expected increase of the mean loss of a row that the feature's shift brings; None where unknown.
        cost_error: Standard error of `cost`.
    """

    name: str
    about: Subject = "feature"
    test: str = ""
    effect: float = 0.0
    floor: float = 0.0
    p_value: float = 1.0
    weight: float | None = None
    broken: bool = False
    note: str = ""
    origin: str = ""
    cost: float | None = None
    cost_error: float = 0.0

    @property
    def topic(self) -> str:
        return f"{self.about}:{self.name}"

    @property
    def cause(self) -> str:
        """What an alert reports, and reports once: findings of one origin have one cause."""
        return f"{'broken' if self.broken else self.about}:{self.origin or self.name}"

    @property
    def severity(self) -> float:
        """The effect divided by its floor."""
        return self.effect / self.floor if self.floor else 0.0


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
            _finding(column, "feature", importance or {}, costs.get(column.name))
            for column in evidence.columns
            if column.drifted
        ]
        distributions: tuple[tuple[ColumnEvidence | None, Subject], ...] = (
            (evidence.prediction, "prediction"),
            (evidence.label, "label"),
        )
        distribution_findings = [
            _finding(column, about, {}) for column, about in distributions if column is not None and column.drifted
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
            findings=(*quality_findings, *distribution_findings, *_joint_finding(evidence), *feature_findings),
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
    shadow_us: int | None = None
    escalated: bool = False
    reselect: bool = False
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        """How much worse the worst metric is on matured labels; None without matured labels."""
        return max(self.costs.values(), default=None)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "worth": self.worth.to_json() if self.worth else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """Read the result of `to_json`; unknown fields are ignored."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in data.items() if name in known}
        values.update((name, tuple(value)) for name, value in values.items() if isinstance(value, list))
        values["drifted"] = tuple(Finding(**finding) for finding in data.get("drifted", ()))
        if values.get("worth"):
            values["worth"] = WorthEvidence.from_json(values["worth"])
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


def _joint_finding(evidence: WindowEvidence) -> tuple[Finding, ...]:
    joint = evidence.joint
    if joint is None or not joint.drifted:
        return ()
    note = f"AUC of telling them from the reference; {joint.usual_auc:.2f} in its own windows"
    return (
        Finding(
            name="all features together", about="joint", test="classifier", effect=joint.auc, p_value=joint.p_value,
            note=note,
        ),
    )  # fmt: skip


def _finding(
    column: ColumnEvidence, subject: Subject, importance: Mapping[str, float], cost: tuple[float, float] | None = None
) -> Finding:
    broken = subject == "feature" and column.n_current == 0 and column.n_reference > 0
    return Finding(
        name=column.name,
        about=subject,
        test=column.test,
        effect=column.effect,
        floor=column.floor,
        p_value=column.p_value,
        weight=importance.get(column.name),
        broken=broken,
        note=column.note or ("no values any more" if broken else ""),
        cost=cost[0] if cost else None,
        cost_error=cost[1] if cost else 0.0,
    )
