"""Two-part models of numbers of which many are 0: the chance of more than 0, and the amount where it is more than 0.

The two-part model (Cragg, 1971; as a hurdle model Mullahy, 1986) predicts a quantile of the mixture: for `mae`, its
median.

| symbol | meaning                                                                                   |
|--------|-------------------------------------------------------------------------------------------|
| P      | probability that y > 0, by a binary model                                                  |
| a      | median of log(1 + y) where y > 0, by a model of those rows                                 |
| e      | its residuals on rows that it was not fitted on; quantile function E                       |
| t      | level of the quantile                                                                      |

A share 1 - P of the mixture is 0. So the quantile is 0 where t <= 1 - P, and else that of level (t - (1 - P)) / P among
the positive numbers: exp(a + E((t - 1 + P) / P)) - 1. Residuals are taken as independent of the row on the log scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.core.files import read_json, write_json
from headrace.evaluate.metrics import Metric
from headrace.models.design import Design, Predictions
from headrace.models.families.protocol import Fitted, Label
from headrace.models.log_scale import natural

_FILE, _OCCURRENCE, _AMOUNT = "two_part.json", "occurrence", "amount"
#: Least share of zeros for which a two-part model is tried, and positive rows that fitting and validating it need.
_ZEROS, _LEAST_TRAIN, _LEAST_VALID = 0.2, 200, 100
#: Levels at which the quantiles of residuals are kept.
LEVELS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True)
class FittedTwoPart:
    """A fitted two-part model.

    Attributes:
        occurrence: Model of P.
        amount: Model of a.
        residuals: E at LEVELS.
        level: t.
    """

    occurrence: Fitted
    amount: Fitted
    residuals: tuple[float, ...]
    level: float

    @property
    def rounds(self) -> int | None:
        return None

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        """Predict the quantile of y [n], at least 0."""
        return mixture_quantile(
            self.occurrence.predict(design, threads=threads),
            self.amount.predict(design, threads=threads),
            self.residuals,
            self.level,
        )

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Return the Shapley values [n, d] of the log-odds of P plus a: the logarithm of odds times amount."""
        return self.occurrence.contributions(design) + self.amount.contributions(design)

    def save(self, folder: Path) -> None:
        """Write each part in its family's format, and two_part.json."""
        for name, part in ((_OCCURRENCE, self.occurrence), (_AMOUNT, self.amount)):
            (folder / name).mkdir()
            part.save(folder / name)
        write_json(folder / _FILE, {"level": self.level, "residuals": list(self.residuals)})


def mixture_quantile(
    probability: Predictions, amount: Predictions, residuals: tuple[float, ...], level: float
) -> Predictions:
    """Return the quantile [n] of mixtures of 0 and a positive number.

    Args:
        probability: P [n].
        amount: a [n].
        residuals: E at LEVELS.
        level: t.
    """
    positive = probability > 1 - level
    among = np.zeros(len(probability))
    among[positive] = (level - 1 + probability[positive]) / probability[positive]
    quantile = natural(amount + np.interp(among, LEVELS, residuals))
    return np.asarray(np.where(positive, quantile, 0.0), dtype=np.float64)


def tries_two_parts(metric: Metric, label: Label, folds: list[tuple[Label, Label]]) -> bool:
    """Whether a two-part model is fitted beside the plain one: for a quantile of numbers of at least 0, many of them 0.

    Args:
        metric: What is measured.
        label: Labels [n].
        folds: Labels of the training and of the validation rows of each fold.
    """
    y = np.asarray(label)
    if metric.level is None or not len(y) or float(y.min()) < 0 or float((y == 0).mean()) < _ZEROS:
        return False
    return all(
        (train > 0).sum() >= _LEAST_TRAIN and (train == 0).any() and (valid > 0).sum() >= _LEAST_VALID
        for train, valid in folds
    )


def is_two_part(folder: Path) -> bool:
    """Whether a folder holds a two-part model."""
    return (folder / _FILE).exists()


def load_two_part(folder: Path, load: Callable[[Path], Fitted]) -> FittedTwoPart:
    """Read a two-part model; `load` reads a part from its folder."""
    facts = read_json(folder / _FILE)
    return FittedTwoPart(
        occurrence=load(folder / _OCCURRENCE),
        amount=load(folder / _AMOUNT),
        residuals=tuple(float(value) for value in facts["residuals"]),
        level=float(facts["level"]),
    )
