"""How far whole windows of a still world lie apart: the unit of luck is a window, not a row.

A feature of 16 carriers repeats over thousands of rows, and a mean of 30 days is the same on all days of a week. The
reference is cut into blocks as long as the window; what their shares scatter beyond the luck of rows is what a still
world does from one window to the next, and a window has to lie further out than that.

| symbol | meaning                                                                                        | shape  |
|--------|------------------------------------------------------------------------------------------------|--------|
| C      | rows per block and cell (missing is a cell); B blocks, n rows in one on average                | [B, K] |
| u      | (shares of a block - shares of all) / sqrt(pi): Pearson's metric                               | [B, K] |
| W      | covariance of one row in that metric; of n independent rows W / n                              | [K, K] |
| G      | covariance between windows: size g from the trace, shape from the scatter less W               | [K, K] |
| tau    | windows that tell as much as one would if windows were independent; B_eff = B / tau            |        |

One-way analysis of variance gives g (Donner 1986), never below three of its standard errors: few rows in a block hide
a scatter that many rows in a window show. Under no drift q - p has covariance V = W (1/m + 1/N) + G (1 + 1/B_eff), and
|q - p|^2 / tr V is about F(d, v), d = (tr V)^2 / tr V^2, v by Satterthwaite: the second-order correction of Rao and
Scott (1981) in the F form of Thomas and Rao (1987). tau is (1 + r) / (1 - r) of the lag-1 autocorrelation r (Zwiers and
von Storch 1995; r without its bias, Kendall 1954), at least what the feature's lookback makes of independent days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.monitor.drift_tests.samples import Counts, Floats

#: With fewer independent windows than this nothing is known of their scatter.
MIN_BLOCKS = 2.0
_MOST_LIKE = 0.95
#: Standard errors below which g is not taken: with one, v falls to 2 and 10,000 rows prove less than 1,000 do.
_LEAST = 3.0


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which block each row of the reference is in. ids [n]: from the oldest, -1 outside of whole blocks."""

    ids: NDArray[np.int64]
    count: int
    length_us: int

    @classmethod
    def of(cls, cutoffs_us: NDArray[np.int64], length_us: int) -> Blocks:
        """Whole blocks, counted back from the last cutoff; one without rows is left out."""
        age = (cutoffs_us.max() - cutoffs_us) // length_us
        whole = int((cutoffs_us.max() - cutoffs_us.min()) // length_us)
        ages, place = np.unique(age, return_inverse=True)
        kept = int((ages < whole).sum())
        return cls(np.where(place < kept, kept - 1 - place, -1).astype(np.int64), kept, length_us)

    def of_rows(self, chosen: NDArray[np.bool_]) -> Blocks:
        """The blocks of some of the rows."""
        return Blocks(self.ids[chosen], self.count, self.length_us)


class Luck(NamedTuple):
    """p_value: of a window as far out, without drift; None where too few windows are known (`windows`: B_eff)."""

    p_value: float | None
    windows: float


def luck(blocks: Counts, level: Counts, current: Counts, *, own: bool = True, memory: float = 0.0) -> Luck:
    """The chance of current rows [K] against a level [K], by the scatter of blocks [B, K].

    own: the level is the blocks' sum; else it is one other window, whose luck counts like the current one's. memory:
    how many windows the feature looks back over.
    """
    blocks = blocks[blocks.sum(axis=1) > 0]
    count = len(blocks)
    if count < MIN_BLOCKS:
        return Luck(None, float(count))
    m, size, total = current.sum(), level.sum(), blocks.sum()
    q, p, mean = current / m, level / size, blocks.sum(axis=0) / total
    pi = (q + p + mean) / 3
    seen = pi > 0
    q, p, mean, pi = q[seen], p[seen], mean[seen], pi[seen]
    root = np.sqrt(pi)
    u = (blocks[:, seen] / blocks.sum(axis=1, keepdims=True) - mean) / root
    row = np.diag(mean / pi) - np.outer(mean / root, mean / root)
    far = float((((q - p) / root) ** 2).sum())

    spread = _spread(u, blocks.sum(axis=1).astype(np.float64), row, memory)
    if spread is None or spread.windows < MIN_BLOCKS:
        return Luck(None, 0.0 if spread is None else spread.windows)
    weight = 1 + 1 / spread.windows if own else 2.0
    covariance = row * (1 / m + 1 / size) + weight * spread.between
    return Luck(_tail(far, covariance, weight, spread), spread.windows)


class _Spread(NamedTuple):
    """between: G. error: the standard error of its trace. freedom: of the scatter it is from. windows: B_eff."""

    between: Floats
    error: float
    freedom: float
    windows: float


def _spread(u: Floats, rows: Floats, row: Floats, memory: float) -> _Spread | None:
    count, total = len(u), float(rows.sum())
    n = (total - float((rows**2).sum()) / total) / (count - 1)
    square = (u * rows[:, None]).T @ u / (count - 1)
    size = float(np.trace(square))
    if size <= 0:
        return _Spread(np.zeros_like(row), 0.0, np.inf, float(count) / (1 + memory))
    freedom = size**2 / float((square**2).sum())
    excess = (size - float(np.trace(row))) / n
    noise = size / n * float(np.sqrt(2 / (freedom * (count - 1))))
    like = 0.0
    if excess > noise:  # else there is no scatter that could be alike
        like = float((u[1:] * u[:-1]).sum()) / (count - 1) / excess
        like = float(np.clip((like + 1 / count) / (1 - 3 / count) if count > 3 else _MOST_LIKE, 0, _MOST_LIKE))
    windows = count / max(1 + memory, (1 + like) / (1 - like))
    if windows < MIN_BLOCKS:
        return _Spread(np.zeros_like(row), 0.0, np.inf, windows)
    known = freedom * (windows - 1)
    error = size / n * float(np.sqrt(2 / known))
    # Blocks that are alike scatter less about their own mean than about the truth.
    between = max(excess / (1 - 1 / windows), _LEAST * error)
    values, vectors = np.linalg.eigh(square - row)
    values = np.clip(values, 0, None)
    shape = (vectors * values) @ vectors.T / values.sum() if values.sum() > 0 else square / size
    return _Spread(between * shape, error, known, windows)


def _tail(far: float, covariance: Floats, weight: float, spread: _Spread) -> float:
    """v is the smaller of what the error of g leaves and what g, an estimate itself where it is least, leaves."""
    from scipy import stats

    expected = float(np.trace(covariance))
    if expected <= 0:
        return 1.0 if far <= 0 else 0.0
    freedom = expected**2 / float((covariance**2).sum())
    known = 1e9
    if spread.error > 0:
        between = weight * float(np.trace(spread.between))
        known = min(known, 2 * (expected / (weight * spread.error)) ** 2, spread.freedom * (expected / between) ** 2)
    return float(stats.f.sf(far / expected, freedom, known))
