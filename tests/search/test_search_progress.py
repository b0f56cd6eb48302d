"""One line that says how far a study is."""

from __future__ import annotations

from typing import Any

from headrace.evaluate.metrics import METRICS
from headrace.search.study.progress import Progress
from headrace.search.trial import Trial


def _trial(status: Any, loss: float | None) -> Trial:
    return Trial(number=0, config={}, status=status, loss=loss, seconds=1.0)


def test_the_line_after_each_trial() -> None:
    now = [0.0]
    progress = Progress(METRICS["auc"], trials=10, clock=lambda: now[0])
    now[0] = 4.0
    assert progress.add(_trial("ok", -0.7)) == "1 of 10 trials, best auc 0.7000, about 36 s left"
    now[0] = 6.0
    assert progress.add(_trial("stopped", -0.9)) == "2 of 10 trials, best auc 0.7000, 1 stopped, about 24 s left"
    progress.add(_trial("failed", None))
    assert progress.add(_trial("ok", -0.75)) == ("4 of 10 trials, best auc 0.7500, 1 stopped, 1 failed, about 9 s left")


def test_the_clock_may_end_it_first() -> None:
    now = [0.0]
    progress = Progress(METRICS["rmse"], trials=None, seconds=30, clock=lambda: now[0])
    now[0] = 10.0
    assert progress.add(_trial("ok", 2.5)) == "1 trials, best rmse 2.5000, about 20 s left"
    now[0] = 99.0
    assert progress.remaining_s() == 0.0
