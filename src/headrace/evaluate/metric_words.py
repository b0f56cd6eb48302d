"""What each metric means, in words for people: a title, and how to read its value. No stage computes with them."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.schema.metrics import quantile_level


@dataclass(frozen=True, kw_only=True)
class MetricWords:
    """The words of one metric.

    Attributes:
        title: Its name in words.
        meaning: What its value says, with the value of a useless and of a perfect model where they are fixed.
    """

    title: str
    meaning: str


class _Words(dict[str, MetricWords]):
    """Words by name; those of a quantile loss name its level."""

    def __missing__(self, name: str) -> MetricWords:
        level = quantile_level(name)
        if level is None:
            raise KeyError(name)
        return MetricWords(
            title=f"quantile loss, level {level:g}",
            meaning="mean error in units of the label, where too low and too high weigh "
            f"{level:g} and {1 - level:g}; 0 is perfect",
        )


_WORDS: dict[str, MetricWords] = {
    "auc": MetricWords(
        title="area under the ROC curve",
        meaning="chance that a row that happens is ranked above one that does not; 0.5 is a coin, 1 is perfect",
    ),
    "average_precision": MetricWords(
        title="average precision",
        meaning="share of hits among the rows ranked first, averaged over all hits; 1 is perfect",
    ),
    "log_loss": MetricWords(
        title="log loss",
        meaning="mean surprise of the probabilities, in nats; 0 is perfect",
    ),
    "brier": MetricWords(
        title="Brier score",
        meaning="mean squared error of the probabilities; 0 is perfect",
    ),
    "ndcg": MetricWords(
        title="normalised discounted cumulative gain",
        meaning="hits among the rows ranked first, later ones weighing less; 1 is perfect",
    ),
    "rmsle": MetricWords(
        title="root mean squared logarithmic error",
        meaning="size of a typical error as a ratio: 0.1 is about 10 %; 0 is perfect",
    ),
    "rmse": MetricWords(
        title="root mean squared error",
        meaning="size of a typical error in units of the label, large errors weighing more; 0 is perfect",
    ),
    "mae": MetricWords(
        title="mean absolute error",
        meaning="mean size of an error in units of the label; 0 is perfect",
    ),
}

#: Name of a metric -> its words. A test holds it complete.
METRIC_WORDS: dict[str, MetricWords] = _Words(_WORDS)
