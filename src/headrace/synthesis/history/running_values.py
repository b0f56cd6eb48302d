"""Running values of a group, as entries in time: the value of each row, from when until when it has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.core.clock import NEVER
from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.history.steps import last_before
from headrace.synthesis.history.versions import assertions
from headrace.synthesis.language.columns import clock_of
from headrace.synthesis.language.definitions import Grouped
from headrace.synthesis.language.inputs import grouped_columns
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.primitives.running import RUNNING, running_changes


@dataclass(frozen=True, kw_only=True)
class RunningEntries:
    """Running values [n], by (primary key of the row, since).

    Attributes:
        row: row numbers.
        since: in us; a row has the value at t when since < t <= until.
        until: in us.
        values: the values.
        codes: code of every row's primary key [rows].
        start: position of each code's first entry [codes + 1].
    """

    row: Ints
    since: Ints
    until: Ints
    values: ColumnValues
    codes: Ints
    start: Ints


def running_values(sources: Sources, definition: Grouped, at: Ints, ticks: Ints) -> ColumnValues:
    """The running values of rows, given by number [m], at ticks in us [m]."""
    entries = running_entries(sources, definition)
    place = last_before(entries.since, entries.start[:-1], entries.start[1:], entries.codes[at], ticks)
    ended = np.zeros(len(place), dtype=np.bool_)
    if len(entries.until):
        ended = entries.until[np.maximum(place, 0)] < ticks
    return entries.values.take(np.where(ended, -1, place))


def running_entries(sources: Sources, definition: Grouped) -> RunningEntries:
    """All running values of a definition, computed once per table."""
    rows = sources.rows(definition.table)
    return rows.cached(("running", definition), lambda: _entries(sources, rows, definition))


def _entries(sources: Sources, rows: Rows, definition: Grouped) -> RunningEntries:
    columns = grouped_columns(definition)
    clock = clock_of(sources.problem, rows.table, columns)
    group, _ = encode_rows([plain(rows.raw(key)) for key in definition.keys])
    known = rows.known(clock)
    identity = rows.joint_identity(columns, False)
    starts, until = assertions(rows.versions(), rows.effective_versions(clock), known, group, identity)
    row = rows.by_known(clock)
    row = row[starts[row] & (group[row] >= 0)]
    inputs = rows.constant_values(definition.value)
    entry, since, value = _changes(row, group, known, until, _as_numbers(inputs), definition.primitive)
    ends = until[row][entry]
    ends[:-1] = np.where(entry[1:] == entry[:-1], since[1:], ends[:-1])
    codes, many = encode_rows([plain(rows.raw(key)) for key in rows.table.keys])
    code = codes[row][entry]
    order = np.lexsort((since, code))
    order = order[(since < ends)[order] & (code[order] >= 0)]
    return RunningEntries(
        row=row[entry][order],
        since=since[order],
        until=ends[order],
        values=_as_values(value[order], definition.primitive, inputs),
        codes=codes,
        start=np.searchsorted(code[order], np.arange(many + 1)),
    )


def _as_numbers(values: ColumnValues) -> Floats:
    """Numbers, or codes as numbers; NaN where missing."""
    if values.number is not None:
        return values.number
    code = np.asarray(values.code, dtype=np.float64)
    return np.where(code < 0, np.nan, code)


def _as_values(numbers: Floats, primitive: str, inputs: ColumnValues) -> ColumnValues:
    """The results of a primitive: numbers, or codes of the categories of its inputs."""
    if inputs.names is None or RUNNING[primitive].result is not None:
        return ColumnValues(number=numbers)
    return ColumnValues(code=np.where(np.isnan(numbers), -1, numbers).astype(np.int64), names=inputs.names)


def _changes(row: Ints, group: Ints, known: Ints, until: Ints, x: Floats, primitive: str) -> tuple[Ints, Ints, Floats]:
    """Positions in `row`, instants and values of all changes [k], by position and instant."""
    row_known, row_until = known[row], until[row]
    places = np.arange(len(row))
    ending = places[row_until < NEVER]
    time = np.concatenate([row_until[ending], row_known])
    ops = np.concatenate([~ending, places])
    place = np.concatenate([ending, places])
    ends_first = np.repeat([0, 1], [len(ending), len(places)])
    order = np.lexsort((place, ends_first, time, group[row[place]]))
    entry, since, value = running_changes(ops[order], time[order], group[row], row_known, x[row], primitive)
    by_entry = np.argsort(entry, kind="stable")
    return entry[by_entry], since[by_entry], value[by_entry]
