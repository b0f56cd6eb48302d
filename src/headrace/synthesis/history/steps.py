"""Steps and timelines: intervals in which a row's values are constant, and the instants at which they may change.

A step is a row from `since` until `until`: it is seen at t when since < t <= until. A timeline is, for each code (of a
parent, a child's key, a group), the instants at which something may change: it may differ from the first t after one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from headrace.synthesis.language.values import Ints


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Steps [n], by assertion and instant.

    Attributes:
        assertion: the number of the assertion that a step is part of.
        since: in us; the step is seen at t when since < t <= until.
        until: in us.
    """

    assertion: Ints
    since: Ints
    until: Ints

    def __len__(self) -> int:
        return len(self.assertion)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The instants at which something may change, per code.

    Attributes:
        time: distinct instants in us, sorted within their code [k].
        start: the position of each code's first instant [codes + 1].
    """

    time: Ints
    start: Ints


def timeline(code: Ints, time: Ints, codes: int) -> Timeline:
    """Sort instants under their codes; negative codes are left out."""
    valid = code >= 0
    code, time = code[valid], time[valid]
    order = np.lexsort((time, code))
    code, time = code[order], time[order]
    first = np.ones(len(code), dtype=np.bool_)
    first[1:] = (code[1:] != code[:-1]) | (time[1:] != time[:-1])
    code, time = code[first], time[first]
    return Timeline(time=time, start=np.searchsorted(code, np.arange(codes + 1)))


def cut(steps: Steps, code: Ints, line: Timeline) -> Steps:
    """Cut each step [n] at the instants of its code [n] that lie inside it."""
    many = np.empty(len(steps), dtype=np.int64)
    nothing = np.empty(0, dtype=np.int64)
    _cut(steps.since, steps.until, code, line.start, line.time, many, nothing, nothing)
    if many.sum() == len(steps):
        return steps
    since = np.empty(int(many.sum()), dtype=np.int64)
    until = np.empty(len(since), dtype=np.int64)
    _cut(steps.since, steps.until, code, line.start, line.time, many, since, until)
    return Steps(assertion=np.repeat(steps.assertion, many), since=since, until=until)


@njit(cache=True, nogil=True)
def _after(time: Any, low: int, high: int, at: int) -> int:
    """The first place in [low, high) whose instant is later."""
    while low < high:
        middle = (low + high) // 2
        if time[middle] <= at:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _cut(since: Any, until: Any, code: Any, start: Any, time: Any, many: Any, new_since: Any, new_until: Any) -> None:
    at = 0
    for i in range(len(since)):
        c = code[i]
        if c < 0 or c >= len(start) - 1:
            low = high = 0
        else:
            low = _after(time, start[c], start[c + 1], since[i])
            high = _after(time, low, start[c + 1], until[i] - 1)
        many[i] = 1 + high - low
        if len(new_since):
            new_since[at] = since[i]
            for place in range(low, high):
                new_until[at] = time[place]
                at += 1
                new_since[at] = time[place]
            new_until[at] = until[i]
            at += 1


def last_before(known: Ints, start: Ints, end: Ints, code: Ints, tick: Ints) -> Ints:
    """The position of the last entry of each query's code that is known before its tick [m]; -1 where there is none."""
    place = np.empty(len(code), dtype=np.int64)
    _last_before(known, start, end, code, tick, place)
    return place


@njit(cache=True, nogil=True)
def _last_before(known: Any, start: Any, end: Any, code: Any, tick: Any, out: Any) -> None:
    for j in range(len(code)):
        c = code[j]
        out[j] = -1
        if 0 <= c < len(start):
            place = _after(known, start[c], end[c], tick[j] - 1)
            if place > start[c]:
                out[j] = place - 1
