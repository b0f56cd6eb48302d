"""Test at any time whether events are more frequent than a limit, from their number, for guards of error and latency.

    E = integral over p from p0 to 1 of p^k (1 - p)^(n - k) dp / ((1 - p0) p0^k (1 - p0)^(n - k))

is the likelihood of k events in n trials, averaged over all shares above the limit p0, divided by that at the limit: an
e-process (the method of mixtures; Robbins 1970). It exceeds 1 / a at any time with probability a at most where every
trial's probability of the event is at most p0, given the trials before.
"""

from __future__ import annotations

import math


def log_evidence(events: int, trials: int, limit: float) -> float:
    """Return log E against a share of at most `limit`.

    Args:
        events: Events so far, 0 <= events <= trials.
        trials: Trials so far.
        limit: The largest share that is accepted, between 0 and 1.
    """
    from scipy.special import betaincc, betaln

    above = float(betaincc(events + 1, trials - events + 1, limit))
    if above <= 0.0:
        return -math.inf
    mixture = float(betaln(events + 1, trials - events + 1)) + math.log(above) - math.log1p(-limit)
    return mixture - events * math.log(limit) - (trials - events) * math.log1p(-limit)


def exceeds(events: int, trials: int, limit: float, error: float) -> bool:
    """Whether events are more frequent than `limit`, wrongly with probability `error` at most, at any time looked."""
    return log_evidence(events, trials, limit) >= -math.log(error)
