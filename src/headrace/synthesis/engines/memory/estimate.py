"""How much memory the groups of an entity take, estimated from rows, columns and sorts before anything is computed.

notation      unit                     what of
table         bytes                    passes over whole tables, whatever is asked
query         bytes a query            the sort of the queries, lookbacks' bounds, answers in the making
answer        bytes a query            answers, kept until they are written
history [k]   bytes an entity asked    its own rows: sorted, summed up, cut into steps

A row of a stacked work is cut into steps, about as many as there are rows below it. Groups run a few at a time, works
of a group one after the other: what the largest take counts. The constants were fitted to measured peaks
(tests/synthesis/test_memory_limit.py holds them to some).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.synthesis.engines.scan.streams import LIVE_AT_ONCE, is_swept
from headrace.synthesis.engines.stacked.ends import key_ends
from headrace.synthesis.history.keys import encode_pairs, plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.language.definitions import Definition, Grouped
from headrace.synthesis.language.inputs import join_columns, moving, relative, used_columns
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.planning.plan import ColumnWork, Group, as_aggregate, fans_out

#: Bytes of a row of a table in passes over it: codes, ranks and masks; and of each column and clock kept of it.
_PASS, _KEPT = 80, 16
#: Bytes of a row in the sort of its group; of an entry of a column with what its families sum up.
_SORTED, _ENTRY = 56, 110
#: Bytes of a step, and of each inner value of it.
_STEP, _INNER = 330, 40
#: Bytes of a query: sorted; each lookback's bounds; each answer of a work in the making; a sweep's tables.
_ASKED, _BOUNDS, _MAKING, _SWEPT = 96, 16, 12, 160
#: Bytes of a live entry that is written out, and of one that is asked anew across.
_LIVE, _ACROSS = 72, 240


@dataclass(frozen=True, kw_only=True)
class Need:
    """See the head. history [distinct entities asked]."""

    table: float
    query: float
    answer: float
    history: Floats

    def of(self, queries: int, history: float) -> float:
        """Bytes of a part beside what is derived once: queries, and entities with so many bytes of history."""
        return self.table + (self.query + self.answer) * queries + history


def entity_need(
    sources: Sources, groups: Sequence[Group], asked: Mapping[str, pa.Array], entity: Ints, threads: int
) -> Need:
    """The need of an entity's groups, `threads` at a time. entity [queries]: its code, without gaps, -1 for null."""
    each = sorted(
        (_group_need(sources, group, asked, entity) for group in groups),
        key=lambda need: -need.of(len(entity), float(need.history.sum())),
    )
    at_once = each[:threads]
    return Need(
        table=sum(need.table for need in at_once),
        query=sum(need.query for need in at_once),
        answer=sum(need.answer for need in each) + 16 * len(asked),
        history=np.sum([need.history for need in at_once], axis=0),
    )


def derived_bytes(sources: Sources, groups: Sequence[Group]) -> float:
    """Bytes of the columns and clocks of whole tables that all groups share: made once, and kept."""
    kept: set[tuple[str, object]] = set()
    for group in groups:
        kept |= {(group.table, group.clock), (group.table, "versions")}
        for work in group.columns:
            kept |= {(group.table, column) for column in work.used}
            kept |= set(_read(sources, work.relative))
    return float(sum(sources.rows(table).data.num_rows * _KEPT for table, _ in kept))


def _read(sources: Sources, definitions: Sequence[Definition]) -> Iterator[tuple[str, object]]:
    """What definitions read of tables, however deep."""
    for leaf in moving(definitions):
        if isinstance(leaf, Grouped):
            yield from ((leaf.table, column) for column in (*leaf.keys, leaf))
            continue
        item = as_aggregate(sources.problem, leaf)
        yield from ((item.table, column) for column in (*used_columns(item, item.keys), "clock", "versions"))
        yield from _read(sources, relative(item))


def answer_bytes(groups: Sequence[Group]) -> float:
    """Bytes of a query's answers as they are kept."""
    return float(sum(_kept(output.kind) for group in groups for work in group.columns for output in work.outputs))


def _kept(kind: str) -> float:
    return 20.0 if kind in ("categorical", "text") else 8.2


def _group_need(sources: Sources, group: Group, asked: Mapping[str, pa.Array], entity: Ints) -> Need:
    rows = sources.rows(group.table)
    stacked = [work for work in group.columns if not group.is_still(work)]
    still = [work for work in group.columns if group.is_still(work)]
    tables = [group.table, *dict.fromkeys(leaf.table for work in stacked for leaf in moving(work.relative))]
    lines = sum(sources.rows(name).data.num_rows for name in tables)
    table = lines * _PASS
    batches = [max((_sizes(work) for work in works), default=0.0) for works in (still, stacked)]
    lookbacks = {output.lookback_us for work in group.columns for output in work.outputs}
    query = _ASKED + _BOUNDS * len(lookbacks) + _MAKING * max(batches) + (_SWEPT if stacked else 0)
    table += _live(sources, rows, group, stacked) * min(LIVE_AT_ONCE, len(entity) * rows.data.num_rows)
    return Need(
        table=float(table),
        query=float(query),
        answer=answer_bytes([group]),
        history=_history(sources, rows, group, still, stacked, asked, entity),
    )


def _live(sources: Sources, rows: Rows, group: Group, stacked: Sequence[ColumnWork]) -> int:
    """Bytes of each live entry that has to be written out; 0 where sweeps and positions do."""
    if any(fans_out(sources.problem, group.table, item) for work in stacked for item in work.relative):
        return _ACROSS
    streamed = group.columns if rows.versions() is not None else stacked
    listed = [o for work in group.columns for o in work.outputs if work in streamed or o.on == "event"]
    return 0 if all(is_swept(output.primitive) for output in listed) else _LIVE


def _sizes(work: ColumnWork) -> float:
    """How many answers of a work are made at once: those of one lookback."""
    by_lookback: dict[int | None, int] = {}
    for output in work.outputs:
        by_lookback[output.lookback_us] = by_lookback.get(output.lookback_us, 0) + 1
    return 1.0 + max(by_lookback.values(), default=0)


def _history(
    sources: Sources,
    rows: Rows,
    group: Group,
    still: Sequence[ColumnWork],
    stacked: Sequence[ColumnWork],
    asked: Mapping[str, pa.Array],
    entity: Ints,
) -> Floats:
    """Bytes of each entity's rows [distinct entities asked]."""
    found = np.zeros(int(entity.max(initial=-1)) + 1)
    if not rows.data.num_rows or not len(found):
        return found
    each = np.full(rows.data.num_rows, float(_SORTED + _ENTRY) if still else 0.0)
    for work in stacked:
        inner = moving(work.relative)
        across = any(fans_out(sources.problem, group.table, item) for item in work.relative)
        many = np.ones(len(each)) if across else _steps(sources, group.table, work.relative)
        each = np.maximum(each, many * (_STEP + _INNER * len(inner)))
    theirs, mine = encode_pairs(
        [key_ends(sources, rows, key)[0] for key in group.keys], [asked[n] for n in group.join_keys]
    )
    by_key = np.bincount(theirs[theirs >= 0], weights=each[theirs >= 0], minlength=int(mine.max(initial=-1)) + 1)
    there = (mine >= 0) & (entity >= 0)
    found[entity[there]] = by_key[mine[there]]
    return found


def _steps(sources: Sources, table: str, definitions: Sequence[Definition]) -> Floats:
    """About how many steps each row of a table is cut into by definitions relative to it [rows]."""
    rows = sources.rows(table)
    changes: dict[tuple[str, ...], Floats] = {}
    for leaf in moving(definitions):
        if isinstance(leaf, Grouped):
            changes[leaf.table, "in its group"] = np.ones(rows.data.num_rows)
            continue
        item = as_aggregate(sources.problem, leaf)
        below = _steps(sources, item.table, relative(item)) * (1 if item.lookback_us is None else 2)
        inner = sources.rows(item.table)
        theirs, mine = encode_pairs(
            [key_ends(sources, inner, key)[0] for key in item.keys],
            [plain(rows.raw(column)) for column in join_columns(leaf.entity)],
        )
        total = np.bincount(theirs[theirs >= 0], weights=below[theirs >= 0], minlength=int(mine.max(initial=-1)) + 1)
        some = np.where(mine >= 0, np.append(total, 0.0)[np.maximum(mine, 0)], 0.0)
        place = (item.table, *item.keys)
        changes[place] = np.maximum(changes[place], some) if place in changes else some
    steps: Floats = np.sum([np.ones(rows.data.num_rows), *changes.values()], axis=0, dtype=np.float64)
    return steps
