"""What each metric means, in words for people: a title, and how to read its value. No stage computes with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MetricWords:
    """The words of one metric.

    Attributes:
        title: Its name in words.
        meaning: What its value says, with the value of a useless and of a perfect model where they are fixed.
    """

    title: str
    meaning: str


#: Name of a metric -> its words. A test holds it complete.
METRIC_WORDS: dict[str, MetricWords] = {
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
    "rmse": MetricWords(
        title="root mean squared error",
        meaning="size of a typical error in units of the label, large errors weighing more; 0 is perfect",
    ),
    "mae": MetricWords(
        title="mean absolute error",
        meaning="mean size of an error in units of the label; 0 is perfect",
    ),
}
