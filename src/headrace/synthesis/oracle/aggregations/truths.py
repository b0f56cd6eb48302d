"""Counts, shares and streaks of true and false, in plain Python."""

from __future__ import annotations

from itertools import groupby

from headrace.synthesis.oracle.observations import Observations, Twin, of_values


def _percent_true(observations: Observations) -> float | None:
    return sum(value == 1.0 for _, value in observations) / len(observations) if observations else None


def _streaks(values: list[float], truth: float) -> list[int]:
    return [len(list(run)) for value, run in groupby(values) if value == truth]


def _longest(truth: float) -> Twin:
    return of_values(lambda x: float(max(_streaks(x, truth), default=0)))


def _at_the_end(truth: float) -> Twin:
    return of_values(lambda x: float(_streaks(x, truth)[-1]) if x and x[-1] == truth else 0.0)


def _last_time(truth: float) -> Twin:
    return lambda observations: max((at for at, value in observations if value == truth), default=None)


TRUTHS: dict[str, Twin] = {
    "percent_true": _percent_true,
    "num_true": of_values(lambda x: float(sum(value == 1.0 for value in x))),
    "any": of_values(lambda x: float(1.0 in x), 1),
    "all": of_values(lambda x: float(0.0 not in x), 1),
    "longest_true": _longest(1.0),
    "longest_false": _longest(0.0),
    "num_true_since_last_false": _at_the_end(1.0),
    "num_false_since_last_true": _at_the_end(0.0),
    "last_true_time": _last_time(1.0),
    "last_false_time": _last_time(0.0),
}
