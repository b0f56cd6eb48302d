"""Every metric has words for people."""

from __future__ import annotations

from headrace.evaluate.metric_words import METRIC_WORDS
from headrace.evaluate.metrics import METRICS


def test_every_metric_has_a_title_and_a_meaning() -> None:
    assert set(METRIC_WORDS) == set(METRICS)
