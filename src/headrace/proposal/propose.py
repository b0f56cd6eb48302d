"""Propose a problem: the tables of a location, their keys, relationships and times, the spine and the label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.calendar import parse_lookback
from headrace.core.clock import DAY, HOUR, MINUTE, format_duration
from headrace.lake.conform import NUMERIC_SHARE
from headrace.lake.table_faults import column_error
from headrace.lake.text_parsing import numeric_share
from headrace.lake.time_like import time_like
from headrace.proposal.keys import Link, find_keys, find_links
from headrace.proposal.reading import RawTable
from headrace.proposal.target import Target, leaking_columns, read_target
from headrace.proposal.times import Times, propose_times
from headrace.schema import Table

_LOOKBACKS = ("1h", "6h", "1d", "7d", "30d", "3mo", "1y", "3y", "10y")
_MOST_ENTITIES = 3


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A proposed problem.

    Attributes:
        name: Name of the problem.
        tables: The tables that are declared.
        keys: Table -> key.
        links: Relationships.
        times: Table -> its times.
        tz: Zone of times without one; None where all have one.
        target: What is predicted.
        target_known: Known time of the label where a column of the row tells it or a guess was made; None where none
            is needed.
        leaking: Column of the target's table that is known no earlier than the label -> why.
        entities: Columns of the spine's table that repeat, besides those of relationships.
        lookbacks: Lengths of history.
        tick: Refresh interval.
        window: Monitored window and interval; None for the default.
        notes: What a reader should know, one line each.
    """

    name: str
    tables: tuple[RawTable, ...]
    keys: Mapping[str, tuple[str, ...]]
    links: tuple[Link, ...]
    times: Mapping[str, Times]
    tz: str | None
    target: Target
    target_known: str | None
    leaking: Mapping[str, str]
    entities: tuple[str, ...]
    lookbacks: tuple[str, ...]
    tick: str
    window: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the tables alone show, before a target is chosen.

    Attributes:
        tables: Tables with a key.
        keys: Table -> key.
        links: Relationships.
        times: Table -> its times.
        notes: Tables that were left out, and why.
    """

    tables: tuple[RawTable, ...]
    keys: Mapping[str, tuple[str, ...]]
    links: tuple[Link, ...]
    times: Mapping[str, Times]
    notes: tuple[str, ...]

    @property
    def timed(self) -> tuple[str, ...]:
        """Tables with an event time."""
        return tuple(name for name, times in self.times.items() if times.time is not None)

    @property
    def has_naive_times(self) -> bool:
        """Whether some times have no zone."""
        return any(times.naive for times in self.times.values())


def look(tables: Sequence[RawTable], notes: Sequence[str]) -> Found:
    """Find keys, relationships and times."""
    keys = find_keys(tables)
    without = [table.name for table in tables if table.name not in keys]
    left_out = [f"{name}: left out, for no one to four columns identify its rows" for name in without]
    kept = tuple(table for table in tables if table.name in keys)
    times = {table.name: propose_times(table, keys[table.name]) for table in kept}
    links = tuple(find_links(kept, keys))
    return Found(tables=kept, keys=keys, links=links, times=times, notes=(*notes, *left_out))


def propose(found: Found, *, target: str, name: str, tz: str | None) -> Proposal:
    """Propose a problem for a target.

    Raises:
        DeclarationError: The target is not there, or its table has no time.
    """
    taken = {item.name: (*found.keys[item.name], found.times[item.name].time) for item in found.tables}
    chosen = read_target(target, found.tables, found.timed, taken)
    table = next(item for item in found.tables if item.name == chosen.table)
    times = found.times[table.name]
    leaking = {} if times.resolution is not None else leaking_columns(table, chosen)
    known, notes = _label_known(chosen, times)
    kept = _connected(found, table.name)
    entities = _entities(table, chosen, times, leaking, found)
    lookbacks = propose_lookbacks(times.cadence_us, times.span_us)
    return Proposal(
        name=name,
        tables=kept,
        keys=found.keys,
        links=found.links,
        times=found.times,
        tz=tz if found.has_naive_times else None,
        target=chosen,
        target_known=known,
        leaking=leaking,
        entities=entities,
        lookbacks=lookbacks,
        tick=_tick(times),
        window=_window(times),
        notes=(*found.notes, *notes),
    )


def _connected(found: Found, spine: str) -> tuple[RawTable, ...]:
    """The spine's table and all that relationships connect with it; others cannot give features."""
    connected = {spine}
    while True:
        more = connected | {
            name for parent, _, child, _ in found.links if {parent, child} & connected for name in (parent, child)
        }
        if more == connected:
            return tuple(table for table in found.tables if table.name in connected)
        connected = more


def _label_known(target: Target, times: Times) -> tuple[str | None, list[str]]:
    """The known time to declare for the label's column, and notes."""
    if times.resolution is not None or target.column in times.known_at:
        return None, []
    later = dict.fromkeys(times.known_at.values())
    if len(later) == 1:
        only = next(iter(later))
        return only, [f"{target.column}: assumed to be known at {only!r}, the only later time of {target.table}"]
    delay = _round_up(times.cadence_us or DAY)
    return f"{times.time} + {delay}", [
        f"{target.column}: nothing tells when it becomes known; {delay} after {times.time!r} is assumed. correct it"
    ]


def _round_up(length_us: int) -> str:
    for text, unit in (("min", MINUTE), ("h", HOUR), ("d", DAY)):
        if length_us < 60 * unit or unit == DAY:
            return f"{max(1, -(-length_us // unit))}{text}"
    return format_duration(length_us)


def _entities(table: RawTable, target: Target, times: Times, leaking: Iterable[str], found: Found) -> tuple[str, ...]:
    """Columns that name things which come again, and are not the parents of relationships already."""
    rows, linked = table.rows, {column for _, _, child, column in found.links if child == table.name}
    late = {*times.known_at, *times.ignore, *leaking, target.column, times.time}
    chosen = []
    for name in rows.column_names:
        column = rows[name]
        if name in late or name in linked or not name.isidentifier() or column.null_count or time_like(name, column):
            continue
        named = re.search(r"(?:id|ID|Id|code|key|no|type|name|store|shop|item|site|station|sensor|user)$", name)
        text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if not text and not (named and pa.types.is_integer(column.type)):
            continue
        distinct = len(pc.unique(column))
        if 2 <= distinct <= rows.num_rows / 5:
            chosen.append((not named, -distinct, name))
    return tuple(name for _, _, name in sorted(chosen)[:_MOST_ENTITIES])


def propose_lookbacks(cadence_us: int | None, span_us: int) -> tuple[str, ...]:
    """Propose up to three lookbacks, from the time between rows to a third of the history's length (us)."""
    cadence, span = cadence_us or DAY, span_us or 30 * DAY
    fits = [text for text in _LOOKBACKS if cadence <= parse_lookback(text) <= max(span / 3, cadence)]
    if not fits:
        fits = [text for text in _LOOKBACKS if parse_lookback(text) >= cadence][:1] or ["10y"]
    return tuple(dict.fromkeys((fits[0], fits[len(fits) // 2], fits[-1])))


def _tick(times: Times) -> str:
    cadence = times.cadence_us or DAY
    if times.resolution is not None or cadence >= 12 * HOUR:
        return "1d"
    return "1h" if cadence >= HOUR else "15min"


def _window(times: Times) -> str | None:
    """The monitored window where the default of a week is shorter than the time between rows."""
    cadence = times.cadence_us
    return f"{-(-cadence // DAY) + (1 if cadence >= 28 * DAY else 0)}d" if cadence and cadence > 7 * DAY else None


def ignored_columns(proposal: Proposal, table: RawTable) -> dict[str, str]:
    """Columns that no feature may use, with the reason: what comes later, and values that cannot be converted."""
    times, ignored = proposal.times[table.name], dict(proposal.times[table.name].ignore)
    declared = Table(
        name=table.name,
        key=proposal.keys[table.name],
        source="-",
        time=times.time,
        known_at={column: at for column, at in times.known_at.items() if times.time is not None},
        resolution=times.resolution,
        tz=proposal.tz,
        roles=dict.fromkeys(categorical_columns(table), "categorical"),
    )
    for name in table.rows.column_names:
        error = column_error(declared, table.rows, name)
        if error is not None and name not in declared.keys:
            ignored.setdefault(name, error.what)
    return ignored


def categorical_columns(table: RawTable) -> list[str]:
    """Columns of texts most of which are numbers: ranges such as "1;10", codes such as "7a"."""
    rows = table.rows
    texts = [field.name for field in rows.schema if pa.types.is_string(field.type)]
    return [name for name in texts if NUMERIC_SHARE <= numeric_share(rows[name]) < 1]
