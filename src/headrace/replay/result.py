"""The result of a replay as a value: what the terminal, the report, MLflow, Prefect and `policy explain` show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.core.clock import format_duration, iso
from headrace.pipeline.production.policy_summary import RESULT
from headrace.replay.cause import Cause
from headrace.replay.outcome import Outcome, Recommendation
from headrace.replay.plan import ReplayPlan
from headrace.replay.policies import DECLARED
from headrace.replay.walk import Walk

#: Columns of the table of policies that are wide, because they contain intervals.
INTERVALS = ("gain", "against calendar")


@dataclass(frozen=True, kw_only=True)
class HindsightPoint:
    """The best of at most so many retrains in hindsight: its mean loss of a row, its metric, and their periods."""

    retrains: int
    loss: float
    metric: float
    periods: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ReplayResult:
    """A replay.

    Attributes:
        problem, metric: Names.
        plan: The period.
        recipe: Of all candidates.
        outcomes: Of the policies; the first never retrains.
        recommendation: Among those that production can run.
        hindsight: For 0, 1, ... retrains.
        cause: Where the gain of a refresh comes from.
        walks: Decisions of each policy.
        weekly: Mean loss of each candidate in each period [m, m].
        seconds, cpu_s: Wall clock and CPU of this run; what an earlier run had finished is not in it.
        folder: Where its files are.
    """

    problem: str
    metric: str
    plan: ReplayPlan
    recipe: dict[str, Any]
    outcomes: tuple[Outcome, ...]
    recommendation: Recommendation
    hindsight: tuple[HindsightPoint, ...]
    cause: Cause
    walks: tuple[Walk, ...]
    weekly: tuple[tuple[float, ...], ...]
    seconds: float
    cpu_s: float
    folder: Path

    def outcome(self, name: str) -> Outcome:
        """Return the outcome of a policy."""
        return next(one for one in self.outcomes if one.name == name)

    @property
    def period(self) -> str:
        """The replayed period, for people."""
        order = ", rows shuffled over time" if self.plan.shuffled else ""
        every = format_duration(self.plan.every_us)
        return f"{iso(self.plan.start_us)[:10]} to {iso(self.plan.end_us)[:10]}, decisions every {every}{order}"

    def conclusions(self) -> tuple[str, ...]:
        """Return what the replay found, in sentences."""
        best, chosen = self.recommendation, self.outcome(self.recommendation.name)
        gain, low, high = chosen.gain, chosen.low, chosen.high
        never = self.outcomes[0].loss
        lines = [
            f"Recommended: {best.name}, {chosen.retrains} retrains. Its loss is {_share(gain, never)} lower than "
            f"without retrains ({_share(low, never)} to {_share(high, never)}).",
            f"It costs least in {best.confidence:.0%} of the resamples; the next is {best.second}, by "
            f"{best.margin[0]:.2f} weeks of loss ({best.margin[1]:.2f} to {best.margin[2]:.2f}).",
        ]
        if chosen.hindsight_share is not None and chosen.refreshed:
            lines.append(
                f"That is {chosen.hindsight_share:.0%} of what as many retrains could have gained in hindsight."
            )
        if chosen.against_calendar is not None:
            difference, below, above = chosen.against_calendar
            lines.append(
                f"Its loss is {_share(difference, never)} lower than that of calendars of as many retrains "
                f"({_share(below, never)} to {_share(above, never)})."
            )
        if best.name != DECLARED:
            declared = self.outcome(DECLARED)
            lines.append(
                f"The declared policy: {declared.retrains} retrains, {_share(declared.gain, never)} lower than without "
                f"({_share(declared.low, never)} to {_share(declared.high, never)})."
            )
        drift, more = self.cause.drift, self.cause.more_rows
        lines.append(
            f"A refresh gains by {self.cause.verdict}: recent rows of equal number {_share(drift[0], never)} "
            f"({_share(drift[1], never)} to {_share(drift[2], never)}), more rows {_share(more[0], never)} "
            f"({_share(more[1], never)} to {_share(more[2], never)})."
        )
        return tuple(lines)

    def rows(self) -> list[dict[str, str]]:
        """Return the table of policies, for people: the cheapest first after `never`."""
        first, *others = self.outcomes
        return [self._row(one) for one in (first, *sorted(others, key=lambda one: one.cost))]

    def _row(self, one: Outcome) -> dict[str, str]:
        share, calendar = one.hindsight_share, one.against_calendar
        return {
            "policy": one.name + (" (recommended)" if one.name == self.recommendation.name else ""),
            "retrains": str(one.retrains),
            "loss": f"{one.loss:.4g}",
            self.metric: "" if math.isnan(one.metric) else f"{one.metric:.4f}",
            "gain": _with_interval((one.gain, one.low, one.high)),
            "of hindsight": "" if share is None or not one.refreshed else f"{share:.0%}",
            "against calendar": "" if calendar is None else _with_interval(calendar),
            "cost, weeks": f"{one.cost:.2f}",
            "CPU s": f"{one.cpu_s:.0f}",
        }

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able facts; NaN is None."""
        facts = {
            "problem": self.problem,
            "metric": self.metric,
            "plan": asdict(self.plan),
            "recipe": self.recipe,
            "outcomes": [one.to_json() for one in self.outcomes],
            "recommendation": self.recommendation.to_json(),
            "hindsight": [asdict(one) for one in self.hindsight],
            "cause": self.cause.to_json(),
            "conclusions": list(self.conclusions()),
            "walks": {walk.name: [asdict(step) for step in walk.steps] for walk in self.walks},
            "seconds": round(self.seconds, 1),
            "cpu_s": round(self.cpu_s, 1),
            "folder": str(self.folder),
        }
        cleaned: dict[str, Any] = _without_nan(facts)
        return cleaned


def result_path(root: Path, problem: str, plan: ReplayPlan) -> Path:
    """Return where the last result of a problem is: of its history, or of its shuffled rows."""
    return root / "replays" / problem / ("shuffled.json" if plan.shuffled else RESULT)


def _with_interval(values: tuple[float, float, float]) -> str:
    return f"{values[0]:+.4f} ({values[1]:+.4f} to {values[2]:+.4f})"


def _share(value: float, whole: float) -> str:
    return f"{value / whole:.1%}" if whole else f"{value:+.4f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nan(item) for item in value]
    return value
