"""Test at any time whether the mean of a series is positive, by betting on its sign, for comparisons of two models.

An e-process is a nonnegative process whose mean is at most 1 at every stopping time under the null hypothesis, so it
ever exceeds 1 / a with probability a at most (Ville 1939; Howard, Ramdas, McAuliffe and Sekhon 2021). The one here is
the wealth of a gambler who bets on positive observations (Waudby-Smith and Ramdas 2024, "Estimating means of bounded
random variables by betting"). Observations have no known bounds. Each is divided by a multiple of the root mean square
of the earlier ones, and clipped: the bet is then about the mean of the clipped observation, and the scale is known
before the bet.

| symbol  | meaning                                                                        |
|---------|--------------------------------------------------------------------------------|
| x [n]   | observations, in the order in which they become known                          |
| s_i     | CLIP times the root mean square of x_1 .. x_(i-1)                              |
| y_i     | x_i / s_i, clipped to [-1, 1]; 0 for the first WARM_UP observations            |
| l_j     | bets, shares of the wealth                                                     |
| E_n     | mean over j of the product over i of (1 + l_j y_i): e-process against E[y] <= 0 |

The mean over several constant bets needs no tuning: it grows as its best bet does, less log of their number (the
method of mixtures). Rows may depend on each other, so an observation is the mean of a block of rows (`blocks`). Blocks
may depend on each other too: E to the power of an effective share of the blocks, at most 1, is an e-process as well
(Jensen), and grows as if there were so many blocks less. That the share may be estimated from the same blocks is the
result of a simulation (`make study-rollout`), not of a theorem.
"""

from __future__ import annotations

import numpy as np

from headrace.evaluate.metrics import Floats

#: Observations are clipped at so many root mean squares of the earlier ones.
CLIP = 3.0
#: Observations that set the first scale and are not bet on.
WARM_UP = 3
#: Bets: halves of the largest.
BETS = 0.9 * 0.5 ** np.arange(7)
_REACH, _STEPS = 50.0, 30


def log_wealth(values: Floats) -> Floats:
    """Compute log E_1 .. log E_n of the e-process against a mean of zero or less.

    Args:
        values: Observations [n], in the order in which they become known.
    """
    squares = np.concatenate([[0.0], np.cumsum(values**2)[:-1]]) if len(values) else np.empty(0)
    earlier = np.arange(len(values))
    scale = CLIP * np.sqrt(squares / np.maximum(earlier, 1))
    bet_on = (earlier >= WARM_UP) & (scale > 0)
    scaled = np.where(bet_on, np.clip(values / np.where(scale > 0, scale, 1.0), -1.0, 1.0), 0.0)
    each = np.cumsum(np.log1p(BETS[:, None] * scaled[None, :]), axis=1)
    return np.asarray(np.logaddexp.reduce(each, axis=0) - np.log(len(BETS)), dtype=np.float64)


def evidence(values: Floats, share: float = 1.0) -> float:
    """Return the largest value that the e-process ever had: at least 1 / a in a share a of all series, at most.

    Args:
        values: Observations [n]; their mean is zero or less under the null hypothesis.
        share: Effective share of the observations, 0 to 1; 1 for independent ones.

    Returns:
        At least 1, which is no evidence.
    """
    return float(np.exp(min(share * log_wealth(values).max(initial=0.0), 700.0)))


def limits(values: Floats, error: float, share: float = 1.0) -> tuple[float, float]:
    """Compute a confidence sequence's interval for the mean: the values that `evidence` does not refute.

    Args:
        values: Observations [n].
        error: Probability, at most, that one of the two limits is ever on the wrong side of the mean.
        share: As in `evidence`.

    Returns:
        The lower and the upper limit; infinite where too little is known.
    """
    if not len(values):
        return -np.inf, np.inf
    return _limit(values, error / 2, share, -1.0), _limit(values, error / 2, share, 1.0)


def _limit(values: Floats, error: float, share: float, sign: float) -> float:
    """Find the value in one direction from the sample mean from which on `evidence` refutes, by bisection."""
    mean = float(np.mean(values))
    reach = _REACH * max(float(np.abs(values - mean).max()), abs(mean), float(np.finfo(np.float64).tiny))

    def refuted(distance: float) -> bool:
        return evidence(-sign * (values - mean - sign * distance), share) >= 1 / error

    if not refuted(reach):
        return sign * np.inf
    inside, outside = 0.0, reach
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if refuted(middle) else (middle, outside)
    return mean + sign * outside
