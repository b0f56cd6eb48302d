"""Compare the losses of challenger and champion on the same rows, at any time, for the decision of a rollout.

| symbol  | meaning                                                                                        |
|---------|------------------------------------------------------------------------------------------------|
| C, R    | loss of the champion and of the challenger on a row                                            |
| t       | tolerance: how much larger R may be on average, as a share of C                                |
| D_b     | mean of (1 + t) C - R over the rows of block b: positive on average where R is within t        |
| better  | e-process against a mean of D of zero or less: evidence that the challenger is within t        |
| worse   | the same of -D: evidence that it is not                                                        |

Both are at least 1 / error at some time with probability `error` at most where the opposite is true
(`headrace.evaluate.sequential.mean`). Both versions predict every row, whichever of them answers, so the differences
are paired, and it does not matter that the entities of the canary differ from the others. Successive blocks that
resemble each other count for fewer (`monitor.worth.e_value`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from headrace.evaluate.metrics import METRICS
from headrace.evaluate.sequential.blocks import block_means, complete_blocks
from headrace.evaluate.sequential.mean import evidence, limits
from headrace.monitor.worth.e_value import autocorrelation, effective_share
from headrace.monitor.worth.losses import row_losses
from headrace.pipeline.rollout.pairs import Pairs
from headrace.schema import Rollout

#: Least number of rows of a block: a metric that ranks needs rows of both classes.
LEAST_ROWS, LEAST_ROWS_RANKED = 10, 50


@dataclass(frozen=True, kw_only=True)
class RolloutComparison:
    """What is known about a challenger's losses.

    Attributes:
        rows: Rows with a label that both predicted, in complete blocks.
        blocks: Complete blocks.
        champion_loss: Mean loss of the champion over the blocks; NaN without blocks.
        gain: Mean loss that the challenger saves; negative where it loses more.
        low, high: Limits of the gain, valid at all times at once; infinite where too little is known.
        better: Evidence that the challenger is within the tolerance, at least 1.
        worse: Evidence that it is not, at least 1.
        required: The evidence that decides: 1 / error.
        predicted: Rows that the challenger predicted since the last step.
        answered: Of them those that it answered.
    """

    rows: int
    blocks: int
    champion_loss: float
    gain: float
    low: float
    high: float
    better: float
    worse: float
    required: float
    predicted: int
    answered: int

    @property
    def is_better(self) -> bool:
        """Whether the challenger is shown to be within the tolerance."""
        return self.better >= self.required

    @property
    def is_worse(self) -> bool:
        """Whether the challenger is shown to be worse than the tolerance."""
        return self.worse >= self.required

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able facts; numbers that are not finite are None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def compare_pairs(pairs: Pairs, metric: str, rules: Rollout, *, now_us: int) -> RolloutComparison:
    """Compare champion and challenger on the labels that are known by now.

    Args:
        pairs: Rows that both predicted.
        metric: Name of the problem's metric.
        rules: `block`, `tolerance` and `error`.
        now_us: The present on the production clock: the block that it falls into is not complete.
    """
    least = LEAST_ROWS_RANKED if METRICS[metric].ranks else LEAST_ROWS
    blocks = complete_blocks(pairs.known_us, block_us=rules.block_us, now_us=now_us, least_rows=least)
    inside = blocks >= 0
    number = blocks[inside]
    label = pairs.label[inside]
    champion, challenger = (
        block_means(row_losses(metric, label, one[inside], number), number) if inside.any() else np.empty(0)
        for one in (pairs.champion, pairs.challenger)
    )
    difference = (1 + rules.tolerance) * champion - challenger
    share = effective_share(autocorrelation(difference)) if len(difference) else 1.0
    low, high = limits(champion - challenger, rules.error, share)
    return RolloutComparison(
        rows=int(inside.sum()),
        blocks=len(champion),
        champion_loss=float(champion.mean()) if len(champion) else math.nan,
        gain=float((champion - challenger).mean()) if len(champion) else math.nan,
        low=low,
        high=high,
        better=evidence(difference, share),
        worse=evidence(-difference, share),
        required=1 / rules.error,
        predicted=pairs.predicted,
        answered=pairs.answered,
    )
