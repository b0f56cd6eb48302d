"""Running primitives: the value of a Grouped at a row, from the rows of its key up to and including it.

The kernel walks each group's rows in order. A row is last in its group's order when it becomes known; when a row ends
(a correction), the rows after it may get another value: only the next one, or all of them for cumulative primitives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from headrace.core.clock import SECOND
from headrace.core.errors import DeclarationError
from headrace.synthesis.language.definitions import Kind
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.double_double import add


@dataclass(frozen=True, kw_only=True)
class RunningPrimitive:
    """A named running primitive.

    Attributes:
        name: lower case, as in `PREVIOUS(delay by plane)`.
        description: its meaning, completing "of a row and those of its key before it: ...".
        inputs: kinds of values that it reads.
        result: the kind of its value; None: that of its input.
    """

    name: str
    description: str
    inputs: tuple[Kind, ...]
    result: Kind | None


_ANY: tuple[Kind, ...] = ("numeric", "boolean", "categorical")
_NUMBER: tuple[Kind, ...] = ("numeric",)
_PRIMITIVES = (
    RunningPrimitive(name="previous", description="the value of the one before", inputs=_ANY, result=None),
    RunningPrimitive(
        name="difference_to_previous",
        description="its value less that of the one before",
        inputs=_NUMBER,
        result="numeric",
    ),
    RunningPrimitive(
        name="time_since_previous",
        description="seconds since the one before became known",
        inputs=_ANY,
        result="numeric",
    ),
    RunningPrimitive(name="cum_count", description="how many there are", inputs=_ANY, result="numeric"),
    RunningPrimitive(
        name="cum_sum", description="the sum; missing where its own value is", inputs=_NUMBER, result="numeric"
    ),
    RunningPrimitive(
        name="cum_mean", description="the mean; missing where its own value is", inputs=_NUMBER, result="numeric"
    ),
    RunningPrimitive(name="cum_max", description="the largest", inputs=_NUMBER, result="numeric"),
    RunningPrimitive(name="cum_min", description="the smallest", inputs=_NUMBER, result="numeric"),
)
RUNNING: dict[str, RunningPrimitive] = {item.name: item for item in _PRIMITIVES}
_NAMES = tuple(RUNNING)
_PREVIOUS, _DIFFERENCE, _SINCE, _COUNT, _SUM, _MEAN, _MAX, _MIN = range(len(_NAMES))


def running(name: str) -> RunningPrimitive:
    """The running primitive of that name. Raises DeclarationError where there is none."""
    if name not in RUNNING:
        raise DeclarationError(f"no group-by primitive {name!r}", found=RUNNING)
    return RUNNING[name]


def running_changes(ops: Ints, time: Ints, group: Ints, known: Ints, x: Floats, name: str) -> tuple[Ints, Ints, Floats]:
    """Every value that a running primitive has at an entry, with the instant from which the entry has it.

    Args:
        ops: [o], grouped and by time: entry i becomes known: i; it ends: ~i.
        time: when, in us [o].
        group: code of each entry's group [n].
        known: when each entry becomes known, in us [n].
        x: values, or codes of categories, NaN where missing [n].
        name: of the running primitive.

    Returns:
        Entry, instant (us) and value [k] of each change, in the order of `ops`.
    """
    kind, nothing = _NAMES.index(name), np.empty(0, dtype=np.int64)
    many = _run(ops, time, group, known, x, kind, nothing, nothing, np.empty(0))
    entry, since, value = np.empty(many, dtype=np.int64), np.empty(many, dtype=np.int64), np.empty(many)
    _run(ops, time, group, known, x, kind, entry, since, value)
    return entry, since, value


@njit(cache=True, nogil=True)
def _run(ops: Any, time: Any, group: Any, known: Any, x: Any, kind: int, entry: Any, since: Any, value: Any) -> int:
    """Write entry, since, value [k]: an entry's value from an instant on. Returns k; with `entry` empty it only counts.

    ops [o]: entry i becomes known: i; it ends: ~i. time [o]: when. group, known, x [n] of the entries, in group order.
    """
    n = len(x)
    after, ahead = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    state = np.zeros((n, 6))
    tail = before = -1
    written = 0
    for o in range(len(ops)):
        i = ops[o] if ops[o] >= 0 else ~ops[o]
        if group[i] != before:
            before, tail = group[i], -1
        if ops[o] >= 0:
            ahead[i], after[i] = tail, -1
            if tail >= 0:
                after[tail] = i
            tail = i
            first = i
        else:
            left, first = ahead[i], after[i]
            if left >= 0:
                after[left] = first
            if first >= 0:
                ahead[first] = left
            else:
                tail = left
        while first >= 0:
            current = _value(first, ahead[first], known, x, kind, state)
            if len(entry):
                entry[written], since[written], value[written] = first, time[o], current
            written += 1
            first = after[first] if kind >= _COUNT else -1
    return written


@njit(cache=True, nogil=True)
def _value(i: int, left: int, known: Any, x: Any, kind: int, state: Any) -> Any:
    """The value of entry i, after entry `left`. state: number of rows, of values, their sum (two parts), max, min."""
    if kind < _COUNT:
        if left < 0:
            return math.nan
        if kind == _SINCE:
            return (known[i] - known[left]) / SECOND
        return x[left] if kind == _PREVIOUS else x[i] - x[left]
    if left >= 0:
        state[i] = state[left]
    else:
        state[i] = 0.0
        state[i, 4], state[i, 5] = -math.inf, math.inf
    state[i, 0] += 1.0
    if kind == _COUNT:
        return float(state[i, 0])
    if math.isnan(x[i]):
        return math.nan
    state[i, 1] += 1.0
    state[i, 2], state[i, 3] = add(state[i, 2], state[i, 3], x[i], 0.0)
    state[i, 4], state[i, 5] = max(state[i, 4], x[i]), min(state[i, 5], x[i])
    if kind == _MAX:
        return float(state[i, 4])
    if kind == _MIN:
        return float(state[i, 5])
    total = state[i, 2] + state[i, 3]
    return float(total) if kind == _SUM else float(total / state[i, 1])
