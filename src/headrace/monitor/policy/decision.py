"""What the policy reads and writes: a window in short, what drifted in it, the decision. Plain values, JSON-able."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.fingerprint import fingerprint

if TYPE_CHECKING:
    from headrace.monitor.evidence.columns import ColumnEvidence
    from headrace.monitor.evidence.window import WindowEvidence

Kind = Literal["nothing", "alert", "retrain"]
#: "not comparable": too few rows that neither model learnt from, so nothing is known about the challenger.
Outcome = Literal["promoted", "refused", "not comparable", "failed", "superseded"]
Subject = Literal["feature", "prediction", "label", "quality"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that counts as drifted in a window.

    name: feature slug, or metric. effect: in the unit of its test (quality: how much worse), floor: from where it
    matters. weight: the feature's share of the model's importance, where known. broken: gone, empty or unreadable.
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

    @property
    def topic(self) -> str:
        return f"{self.about}:{self.name}"

    @property
    def severity(self) -> float:
        """The effect in multiples of its floor."""
        return self.effect / self.floor if self.floor else 0.0


@dataclass(frozen=True, kw_only=True)
class Window:
    """What the policy has to know about [start_us, end_us) on the production clock.

    outcome: why nothing was measured. blind: that needs a person. judged: features that were compared. costs: metric ->
    how much worse it is on matured labels (positive is worse), significant or not.
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
        """The window of all evidence. importance: feature -> its share of the model's importance (mean |SHAP|)."""
        feature_findings = [
            _finding(column, "feature", importance or {}) for column in evidence.columns if column.drifted
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
            findings=(*quality_findings, *distribution_findings, *feature_findings),
            judged=sum(bool(column.measures) for column in evidence.columns),
            costs={name: metric.drop for name, metric in metrics.items() if metric.reference is not None},
            rows=evidence.rows,
            mature=evidence.mature,
            censored=evidence.censored,
            notes=evidence.notes,
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is to be done about a window, and why. id: the same for the same problem, window and champion.

    drifted: the window's findings. confirmed: topics that persisted. topics: what people are told by this decision.
    links: name -> address, for people (no part of the id). reselect: a retrain that chooses features and family anew.
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
    rows: int = 0
    mature: int = 0
    censored: int = 0
    escalated: bool = False
    reselect: bool = False
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def cost(self) -> float | None:
        """How much worse the worst metric is on matured labels; None while no labels tell."""
        return max(self.costs.values(), default=None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """The decision of `to_json`. Fields that this version does not know are left out."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in data.items() if name in known}
        values.update((name, tuple(value)) for name, value in values.items() if isinstance(value, list))
        values["drifted"] = tuple(Finding(**finding) for finding in data.get("drifted", ()))
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class PastDecision:
    """A decision and what became of it. outcome: None while nobody finished it (alerts and nothings have none)."""

    decision: Decision
    outcome: Outcome | None = None
    outcome_reason: str = ""


def decision_id(problem: str, start_us: int, end_us: int, champion: str | None, extra: str = "") -> str:
    """16 hex digits, the same in every process."""
    return fingerprint([problem, start_us, end_us, champion, extra])[:16]


def _finding(column: ColumnEvidence, subject: Subject, importance: Mapping[str, float]) -> Finding:
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
    )
