"""One group of a plan, answered: the rows sorted, the queries made distinct and sorted, every work asked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from headrace.synthesis.definitions import Aggregate, Definition, Direct, Grouped, RowColumn, Stored, leaves
from headrace.synthesis.engines.held import Held
from headrace.synthesis.engines.keys import encode_pairs, plain
from headrace.synthesis.engines.moving import moving_values
from headrace.synthesis.engines.rows import Rows, Sources
from headrace.synthesis.engines.running import running_values
from headrace.synthesis.engines.sorting import Queries, sort_group, sort_queries
from headrace.synthesis.engines.windows import still_values
from headrace.synthesis.finish import finish
from headrace.synthesis.plan import Group, make_plan, moves
from headrace.synthesis.stacking import join_columns, moving
from headrace.synthesis.values import Ints, as_array


def group_values(
    sources: Sources, group: Group, asked: Mapping[str, pa.Array], ticks: Ints
) -> Iterator[tuple[str, Held]]:
    """Every output of a group by slug, one value per row asked. asked: the join columns, by name."""
    rows = sources.rows(group.table)
    wanted = [asked[column] for column in group.join_keys]
    still = [work for work in group.columns if group.is_still(work)]
    if still:
        codes, found = encode_pairs([plain(rows.raw(column)) for column in group.keys], wanted)
        codes = _of_asked(codes, found)
        sort, queries = sort_group(rows, group.clock, codes), sort_queries(found, ticks)
        for work in still:
            for output, held in still_values(rows, sort, queries, work):
                yield output.slug, held.take(_spread(queries))
    others = [work for work in group.columns if not group.is_still(work)]
    for output, held in moving_values(sources, group, others, wanted, ticks, evaluate):
        yield output.slug, held


def _of_asked(codes: Ints, found: Ints) -> Ints:
    """Codes of rows [n], -1 where nobody asks for their key: what is said of a key depends on no other."""
    asked = np.zeros(int(codes.max(initial=-1)) + 2, dtype=np.bool_)  # the last is for -1
    asked[found[found >= 0]] = True
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
