"""Say in one sentence what a refresh gains, for decisions, alerts, reports and the promotion ledger."""

from __future__ import annotations

import math

from headrace.core.clock import from_us
from headrace.monitor.worth.worth import WorthEvidence


def describe(evidence: WorthEvidence) -> str:
    """Describe the worth of a refresh: what the shadow gained, how surely, and what it has to gain."""
    if evidence.note:
        return f"the worth of a refresh is not known yet: {evidence.note}"
    when = f" of {from_us(evidence.shadow_us):%Y-%m-%d}" if evidence.shadow_us is not None else ""
    change = f"{abs(evidence.share):.1%} {'less' if evidence.gain >= 0 else 'more'}"
    if evidence.rule == "regret":
        return (
            f"a refresh is {evidence.verdict}: within {evidence.days} days shadows would have saved "
            f"{evidence.regret:.2g} weeks of the champion's loss ({change} a row, on {evidence.rows:,} labels); "
            f"a retrain costs {evidence.cost:.2g}"
        )
    return (
        f"a refresh is {evidence.verdict}: the shadow{when} loses {change} than the champion "
        f"({evidence.champion_loss - evidence.gain:.4g} against {evidence.champion_loss:.4g} a row, "
        f"{_limits(evidence)}, on {evidence.rows:,} labels of {evidence.days} days); "
        f"{_share(evidence, evidence.required)} less would pay for a retrain"
    )


def _limits(evidence: WorthEvidence) -> str:
    low, high = evidence.low, evidence.high
    if math.isfinite(low) and math.isfinite(high):
        return f"between {_share(evidence, low)} and {_share(evidence, high)} less"
    if math.isfinite(low):
        return f"at least {_share(evidence, low)} less"
    return "how surely is not known yet"


def _share(evidence: WorthEvidence, gain: float) -> str:
    return f"{gain / evidence.champion_loss:.1%}" if evidence.champion_loss else "0.0%"
