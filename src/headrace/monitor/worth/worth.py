"""Estimate what a refresh gains, from losses of champion and shadow by day, and judge it against its cost.

The gain is the mean loss that the shadow saves per prediction. A refresh is worth it where the gain is significantly
above the required gain: the cost of a retrain, divided over the horizon.

The test follows change: at every refit of the shadow it starts anew, and the starts within the window are averaged. In
a world without change, the mean of W starts exceeds 1 / a at most once in W / a starts on average, whenever one looks
(an e-detector; Shin, Ramdas and Rinaldo 2022). So the number of looks does not matter, and no look is later forgotten.

| symbol    | meaning                                                                          |
|-----------|----------------------------------------------------------------------------------|
| G_d, n_d  | gain of day d, summed over its n_d rows                                          |
| g         | a hypothetical mean gain per row                                                 |
| x_d       | G_d - n_d g: its mean over the days is positive where the gain is above g        |
| E_j(g)    | e-value of the x_d from start j on (`e_value`)                                   |
| a         | 1 - confidence                                                                   |

The rule "regret" tests nothing. The champion's regret is what its shadows would have saved, in weeks of its loss: the
largest sum over the days from a start on. A refresh is worth it once the regret exceeds the cost of a retrain, as one
buys skis once the rent has added up to their price (Karlin, Manasse, Rudolph and Sleator 1988): waiting then never
loses more than one cost.

The lower limit of the gain is the largest g with mean_j E_j(g) >= 1 / a; the upper one, the same with -x_d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from headrace.core.clock import WEEK
from headrace.monitor.worth.days import DayLosses
from headrace.monitor.worth.e_value import autocorrelation, e_value
from headrace.schema import Worth

Verdict = Literal["worth it", "not yet", "not worth it"]

#: With fewer days the variance between days, and their dependence, are not known well enough.
MIN_DAYS = 7
#: Of the bisection: a limit is looked for within this many spreads of the days, in this many halvings.
_REACH, _STEPS = 100.0, 40


@dataclass(frozen=True, kw_only=True)
class WorthEvidence:
    """What a refresh gains, in loss per prediction.

    Attributes:
        verdict: "worth it" where the gain is surely above `required`, "not worth it" where it is surely below it.
        gain: Mean loss that the shadow saves per prediction.
        low, high: Its limits, valid at all looks at once; infinite where too little is known.
        required: Smallest gain that pays for a retrain.
        champion_loss: Mean loss of the champion on the same rows.
        e_value: Evidence that the gain is above `required`: at least 1 / (1 - confidence) where it is worth it.
        rows, days: Compared.
        horizon_weeks: How long a refresh is expected to last.
        note: Why nothing was judged; "" where it was.
        shadow_us: When the newest shadow that predicted any of these rows was fitted, microseconds UTC: it would be
            promoted.
        rule: Which rule gave the verdict, as in `Worth`.
        regret: What the shadows would have saved in the window, in weeks of the champion's loss.
    """

    verdict: Verdict
    gain: float
    low: float
    high: float
    required: float
    champion_loss: float
    e_value: float
    rows: int
    days: int
    horizon_weeks: float
    note: str = ""
    shadow_us: int | None = None
    rule: str = "evidence"
    regret: float = 0.0

    @property
    def cost(self) -> float:
        """The cost of a retrain, in weeks of the champion's loss."""
        return self.required / self.champion_loss * self.horizon_weeks if self.champion_loss else 0.0

    @property
    def share(self) -> float:
        """The gain as a share of the champion's loss: weeks of its loss that one week of a refresh saves."""
        return self.gain / self.champion_loss if self.champion_loss else 0.0

    @property
    def net(self) -> float:
        """Gain over the horizon less the cost, in weeks of the champion's loss."""
        return (self.gain - self.required) / self.champion_loss * self.horizon_weeks if self.champion_loss else 0.0

    @property
    def worth_it(self) -> bool:
        return self.verdict == "worth it"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WorthEvidence:
        """Read the result of `to_json`; unknown fields are ignored."""
        values = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        unlimited = {"low": -math.inf, "high": math.inf}
        return cls(**values | {name: end for name, end in unlimited.items() if values[name] is None})

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able facts; infinite limits are None."""
        facts = {**asdict(self), "share": self.share, "net": self.net}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in facts.items()
        }


def worth(days: DayLosses, rules: Worth, *, end_us: int) -> WorthEvidence:
    """Judge a refresh by the days of the window that ends at `end_us`.

    Args:
        days: From `day_losses`: rows that the champion predicted, that no model involved was fitted on, and whose label
            is known.
        rules: The policy's.
        end_us: End of the window on the production clock, microseconds UTC.

    Returns:
        The evidence; with too few days, the verdict "not yet".
    """
    inside = days.between(end_us - rules.window_us, end_us)
    rows = float(inside.rows.sum())
    gain, loss = (float(total.sum()) / rows if rows else 0.0 for total in (inside.gain, inside.champion))
    facts: dict[str, Any] = {
        "gain": gain,
        "required": rules.required_share * loss,
        "champion_loss": loss,
        "rows": int(rows),
        "days": len(inside.rows),
        "horizon_weeks": rules.horizon_us / WEEK,
        "rule": rules.rule,
        "regret": regret(inside, rules, end_us=end_us),
    }
    if len(inside.rows) < MIN_DAYS:
        note = f"{len(inside.rows)} days with labels of both, fewer than {MIN_DAYS}"
        return WorthEvidence(verdict="not yet", low=-math.inf, high=math.inf, e_value=1.0, note=note, **facts)
    threshold = 1 / (1 - rules.confidence)
    above = evidence_above(inside, rules, facts["required"], end_us=end_us)
    low, high = limits(inside, rules, end_us=end_us)
    worth_it = facts["regret"] >= rules.cost if rules.rule == "regret" else above >= threshold
    verdict: Verdict = "worth it" if worth_it else "not worth it" if high < facts["required"] else "not yet"
    return WorthEvidence(verdict=verdict, low=low, high=high, e_value=above, **facts)


def evidence_above(days: DayLosses, rules: Worth, gain: float, *, end_us: int, sign: float = 1.0) -> float:
    """Average the e-values of all starts within the window, against a mean gain of `gain` or less.

    Args:
        days: Days of the window.
        rules: The window holds `window / every` starts, at whole multiples of `every`.
        gain: Hypothetical mean gain per row.
        end_us: End of the window, microseconds UTC.
        sign: -1 tests against a mean gain of `gain` or more instead.
    """
    values = sign * (days.gain - gain * days.rows)
    phi = autocorrelation(days.gain - days.gain.sum() / days.rows.sum() * days.rows)
    starts = _starts(rules, end_us)
    return float(np.mean([e_value(values[days.start_us >= start], phi) for start in starts]))


def regret(days: DayLosses, rules: Worth, *, end_us: int) -> float:
    """Sum the gains of the days from the start on that gives the most, in weeks of the champion's loss; at least 0.

    Args:
        days: Days of the window.
        rules: As in `evidence_above`.
        end_us: End of the window, microseconds UTC.
    """
    if not len(days.start_us) or not days.champion.sum():
        return 0.0
    week = float(days.champion.sum()) / len(days.start_us) * 7
    sums = [float(days.gain[days.start_us >= start].sum()) for start in _starts(rules, end_us)]
    return max(0.0, *sums) / week


def _starts(rules: Worth, end_us: int) -> range:
    """The refits within the window that ends at an instant."""
    return range(-(-(end_us - rules.window_us) // rules.every_us) * rules.every_us, end_us, rules.every_us)


def limits(days: DayLosses, rules: Worth, *, end_us: int) -> tuple[float, float]:
    """Compute the lower and the upper limit of the mean gain per row, by bisection.

    Args:
        days: Days of the window.
        rules: As in `evidence_above`.
        end_us: End of the window, microseconds UTC.
    """
    gain, threshold = float(days.gain.sum() / days.rows.sum()), 1 / (1 - rules.confidence)
    reach = _REACH * max(float(np.abs(days.gain / days.rows - gain).max()), float(np.finfo(np.float64).tiny))

    def distance(sign: float) -> float:
        """From the estimate to the limit in one direction."""

        def refuted(middle: float) -> bool:
            return evidence_above(days, rules, gain + sign * middle, end_us=end_us, sign=-sign) >= threshold

        if not refuted(reach):
            return math.inf
        inside, outside = 0.0, reach
        for _ in range(_STEPS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if refuted(middle) else (middle, outside)
        return outside

    return gain - distance(-1.0), gain + distance(1.0)
