"""Running values: what a group's order says of each of its rows, as entries in time.

A row comes last in its group's order when it becomes known; when one goes (a correction), those after it may say
something else from then on: only the next one, or for what accumulates all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.core.clock import NEVER
from headrace.synthesis.engines.stacked.steps import standing
from headrace.synthesis.history.column_values import Held
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.history.versions import assertions
from headrace.synthesis.language.columns import clock_of
from headrace.synthesis.language.definitions import Grouped
from headrace.synthesis.language.inputs import grouped_columns
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.running import RUNNING, running_changes


@dataclass(frozen=True, kw_only=True)
class RunningEntries:
    """Entries [n] by (key of the row, since): what is said of a row when since < t <= until. start [codes + 1]."""

    row: Ints
    since: Ints
    until: Ints
    values: Held
    codes: Ints
    start: Ints


def running_values(sources: Sources, definition: Grouped, at: Ints, ticks: Ints) -> Held:
    """What a group says of rows [m] at instants [m]."""
    entries = running_entries(sources, definition)
    place = standing(entries.since, entries.start[:-1], entries.start[1:], entries.codes[at], ticks)
    over = np.zeros(len(place), dtype=np.bool_)
    if len(entries.until):
        over = entries.until[np.maximum(place, 0)] < ticks
    return entries.values.take(np.where(over, -1, place))


def running_entries(sources: Sources, definition: Grouped) -> RunningEntries:
    """All of them, made once."""
    rows = sources.rows(definition.table)
    return rows.once(("running", definition), lambda: _entries(sources, rows, definition))


def _entries(sources: Sources, rows: Rows, definition: Grouped) -> RunningEntries:
    columns = grouped_columns(definition)
    clock = clock_of(sources.problem, rows.table, columns)
    group, _ = encode_rows([plain(rows.raw(key)) for key in definition.keys])
    known = rows.known(clock)
    starts, until = assertions(rows.versions(), rows.standing(clock), known, group, rows.said(columns, False))
    row = rows.by_known(clock)
    row = row[starts[row] & (group[row] >= 0)]
    held = rows.still(definition.value)
    entry, since, value = _walk(row, group, known, until, _as_numbers(held), definition.primitive)
    ends = until[row][entry]
    ends[:-1] = np.where(entry[1:] == entry[:-1], since[1:], ends[:-1])
    codes, many = encode_rows([plain(rows.raw(key)) for key in rows.table.keys])
    code = codes[row][entry]
    order = np.lexsort((since, code))
    order = order[(since < ends)[order] & (code[order] >= 0)]
    values = value[order]
    return RunningEntries(
        row=row[entry][order],
        since=since[order],
        until=ends[order],
        values=Held(number=values)
        if held.names is None or RUNNING[definition.primitive].result is not None
        else Held(code=np.where(np.isnan(values), -1, values).astype(np.int64), names=held.names),
        codes=codes,
        start=np.searchsorted(code[order], np.arange(many + 1)),
    )


def _as_numbers(held: Held) -> Floats:
    """Numbers, or codes as numbers; NaN where missing."""
    if held.number is not None:
        return held.number
    code = np.asarray(held.code, dtype=np.float64)
    return np.where(code < 0, np.nan, code)


def _walk(row: Ints, group: Ints, known: Ints, until: Ints, x: Floats, primitive: str) -> tuple[Ints, Ints, Floats]:
    """Entries (places in `row`), by place and instant: from when each says what."""
    came, went = known[row], until[row]
    places = np.arange(len(row))
    going = places[went < NEVER]
    time = np.concatenate([went[going], came])
    ops = np.concatenate([~going, places])
    place = np.concatenate([going, places])
    after = np.repeat([0, 1], [len(going), len(places)])
    order = np.lexsort((place, after, time, group[row[place]]))
    entry, since, value = running_changes(ops[order], time[order], group[row], came, x[row], primitive)
    by_entry = np.argsort(entry, kind="stable")
    return entry[by_entry], since[by_entry], value[by_entry]
