"""One drifted feature, distribution or metric of a window, as the policy, the outbox and alerts need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from headrace.monitor.evidence.columns import ColumnEvidence
    from headrace.monitor.evidence.window import WindowEvidence

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


def joint_finding(evidence: WindowEvidence) -> tuple[Finding, ...]:
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


def column_finding(
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
