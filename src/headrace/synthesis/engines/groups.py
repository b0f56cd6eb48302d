"""One group of a plan, answered: the rows sorted, the queries made distinct and sorted, every work asked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from headrace.synthesis.engines.scan.constant import still_values
from headrace.synthesis.engines.scan.lookback_range import (
    far,
    lasts,
    longest_window,
    missing,
    near,
    patched,
    recent,
    those,
)
from headrace.synthesis.engines.scan.sorting import Queries, sort_group, sort_queries
from headrace.synthesis.engines.stacked.running import running_values
from headrace.synthesis.engines.stacked.time_varying import moving_values
from headrace.synthesis.history.column_values import Held
from headrace.synthesis.history.keys import plain
from headrace.synthesis.history.row_subset import subset_with_versions
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped, RowColumn, Stored, leaves
from headrace.synthesis.language.inputs import join_columns, moving
from headrace.synthesis.language.values import Ints, as_array
from headrace.synthesis.planning.plan import ColumnWork, Group, Output, make_plan, moves
from headrace.synthesis.primitives.finish import finish


def group_values(
    sources: Sources, group: Group, asked: Mapping[str, pa.Array], ticks: Ints
) -> Iterator[tuple[str, Held]]:
    """Every output of a group by slug, one value per row asked. asked: the join columns, by name."""
    rows = sources.rows(group.table)
    wanted = [asked[column] for column in group.join_keys]
    still = [work for work in group.columns if group.is_still(work)]
    if still:
        yield from _still(rows, group, still, wanted, ticks)
    others = [work for work in group.columns if not group.is_still(work)]
    for output, held in moving_values(sources, group, others, wanted, ticks, evaluate):
        yield output.slug, held


def _still(
    rows: Rows, group: Group, works: Sequence[ColumnWork], wanted: Sequence[pa.Array], ticks: Ints
) -> Iterator[tuple[str, Held]]:
    """Works whose values stand in the rows: of recent rows as far as they can say it, of all rows else."""
    longest_us = longest_window(works)
    part = None
    if longest_us is not None and len(ticks):
        part = recent(rows, group.clock, int(ticks.min()) - longest_us, int(ticks.max()))
    if part is None or longest_us is None:
        yield from (
            (output.slug, held) for output, held in _sorted(rows, group, works, wanted, ticks) if held is not None
        )
        return
    last = {output.slug for work in works for output in work.outputs if lasts(output)}
    unsaid: set[str] = set()
    lasting: dict[str, Held] = {}
    for output, held in _sorted(part, group, list(near(works, longest_us)), wanted, ticks, cut=True):
        if held is None:
            unsaid.add(output.slug)
        elif output.slug in last:
            lasting[output.slug] = held
        else:
            yield output.slug, held
    yield from _lasting(rows, group, works, wanted, ticks, lasting)
    for output, held in _of_keys(rows, group, list(far(works, unsaid)), wanted, ticks):
        yield output.slug, held


def _lasting(
    rows: Rows,
    group: Group,
    works: Sequence[ColumnWork],
    wanted: Sequence[pa.Array],
    ticks: Ints,
    lasting: dict[str, Held],
) -> Iterator[tuple[str, Held]]:
    """Last values, looked for in all of a key's rows where recent ones have none."""
    nowhere = np.zeros(len(ticks), dtype=np.bool_)
    for held in lasting.values():
        nowhere |= missing(held)
    gone = np.flatnonzero(nowhere)
    if len(gone):
        at = pa.array(gone)
        some = [values.take(at) for values in wanted]
        asked = list(those(works, lambda output: output.slug in lasting))
        for output, held in _of_keys(rows, group, asked, some, ticks[gone]):
            lasting[output.slug] = patched(lasting[output.slug], gone, held)
    yield from lasting.items()


def _of_keys(
    rows: Rows, group: Group, works: Sequence[ColumnWork], wanted: Sequence[pa.Array], ticks: Ints
) -> Iterator[tuple[Output, Held]]:
    """Of all rows of the keys that are asked for, and no others where these are few."""
    if not works:
        return
    asked = _of_asked(rows.key_codes(group.keys), rows.keys(group.keys).find(wanted))
    part = subset_with_versions(rows, asked >= 0)
    for output, held in _sorted(part or rows, group, works, wanted, ticks):
        if held is not None:
            yield output, held


def _sorted(
    rows: Rows,
    group: Group,
    works: Sequence[ColumnWork],
    wanted: Sequence[pa.Array],
    ticks: Ints,
    *,
    cut: bool = False,
) -> Iterator[tuple[Output, Held | None]]:
    """Each output of still works, one value per row asked. cut: see `still_values`."""
    if not works:
        return
    codes, found = rows.key_codes(group.keys), rows.keys(group.keys).find(wanted)
    codes = _of_asked(codes, found)
    found = np.where(found > codes.max(initial=-1), -2, found)  # keys of the table, but of none of these rows
    sort, queries = sort_group(rows, group.clock, codes), sort_queries(found, ticks)
    for work in works:
        for output, held in still_values(rows, sort, queries, work, cut=cut):
            yield output, None if held is None else held.take(_spread(queries))


def _of_asked(codes: Ints, found: Ints) -> Ints:
    """Codes of rows [n], -1 where nobody asks for their key: what is said of a key depends on no other."""
    asked = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.bool_)  # the last is for -1
    asked[found[(found >= 0) & (found < len(asked) - 1)]] = True
    return codes if asked[:-1].all() else np.where(asked[codes], codes, -1)


def _spread(queries: Queries) -> Ints:
    """Where each row's answer is; a null key has none."""
    return np.where(queries.null, -1, queries.inverse) if queries.null.any() else queries.inverse


def evaluate(
    sources: Sources, rows: Rows, at: Ints, ticks: Ints, definitions: Sequence[Definition]
) -> dict[Definition, Held]:
    """Definitions relative to rows of a table, at instants: row numbers [m], ticks [m] -> values [m] each."""
    stacked = moving(definitions)
    found: dict[Definition, Held] = {}
    found.update(_stored(sources, rows, at, ticks, [leaf for leaf in stacked if isinstance(leaf, Direct | Aggregate)]))
    for leaf in stacked:
        if isinstance(leaf, Grouped):
            found[leaf] = running_values(sources, leaf, at, ticks)
    for definition in definitions:
        if definition in found:
            continue
        if not moving([definition]) and not moves(definition):
            found[definition] = rows.still(definition).take(at)
            continue
        below = list(dict.fromkeys(leaves(definition)))
        columns = {
            leaf.column: rows.raw(leaf.column).take(pa.array(at)) for leaf in below if isinstance(leaf, RowColumn)
        }
        others = {leaf.slug: found[leaf].arrow(leaf.kind) for leaf in below if not isinstance(leaf, RowColumn)}
        values = finish([definition], others, columns, ticks, ticks)[definition.slug]
        found[definition] = Held.of(as_array(values), definition.kind)
    return found


def _stored(
    sources: Sources, rows: Rows, at: Ints, ticks: Ints, definitions: Sequence[Stored]
) -> Iterator[tuple[Definition, Held]]:
    if not definitions:
        return
    names = {name for item in definitions for name in join_columns(item.entity)}
    asked = {name: plain(rows.raw(name)).take(pa.array(at)) for name in names}
    by_slug = {definition.slug: definition for definition in definitions}
    for group in make_plan(sources.problem, definitions, inner=True).groups:
        for slug, held in group_values(sources, group, asked, ticks):
            yield by_slug[slug], held
