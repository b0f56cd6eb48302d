"""The local engine: sort once per (table, key, clock), then running sums, deques, two pointers and sweeps.

Per group: rows get an entity code and are sorted by (code, known time); queries are made distinct and sorted by (code,
tick). Of rows that queries find by a lookback only those that it reaches are sorted (`recent`). Where all that is asked
stands in the rows (`windows`), a lookback is two positions in the sort. Each work drops what it does not assert
(`assertions`) by mapping positions through running counts.

Where an assertion was superseded, a window of positions holds more than is true. Such queries (decided by what their
window holds) are answered by a sweep through comings and goings (`streams`): so are lookbacks on event time,
and what is stacked (`moving`), whose values change while their rows stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.synthesis.engines.groups import group_values
from headrace.synthesis.history.keys import plain
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.language.definitions import Stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.values import Ints
from headrace.synthesis.planning.checks import check_definitions
from headrace.synthesis.planning.plan import Group, make_plan


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Computes in this process, on `threads` threads. told: how far it is, in a line."""

    threads: int = 2
    told: Callable[[str], None] | None = None

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """See `synthesis.engine.Engine`."""
        if not definitions:
            return pa.table({"tick": keys["tick"]}).select([])
        groups = checked_groups(problem, definitions, keys, snapshot)
        ticks = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
        sources = Sources(problem, snapshot)
        arrays = group_arrays(sources, groups, asked_of(keys, groups), ticks, self.threads, self.told)
        return pa.table({definition.slug: arrays[definition.slug] for definition in definitions})


def checked_groups(
    problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables
) -> tuple[Group, ...]:
    """The plan's groups. Raises before anything is computed where a definition cannot be, or a key is not there."""
    check_definitions(problem, definitions, snapshot)
    groups = make_plan(problem, definitions).groups
    _check_keys(keys, groups)
    return groups


def asked_of(keys: pa.Table, groups: Sequence[Group]) -> Mapping[str, pa.Array]:
    """The join columns of some groups, by name."""
    return {name: plain(keys[name]) for name in {name for group in groups for name in group.join_keys}}


def group_arrays(
    sources: Sources,
    groups: Sequence[Group],
    asked: Mapping[str, pa.Array],
    ticks: Ints,
    threads: int,
    told: Callable[[str], None] | None = None,
) -> dict[str, pa.Array]:
    """Every output of some groups by slug, one value per row asked; groups run side by side."""

    def values(group: Group) -> dict[str, pa.Array]:
        kinds = {output.slug: output.kind for work in group.columns for output in work.outputs}
        found = {slug: held.arrow(kinds[slug]) for slug, held in group_values(sources, group, asked, ticks)}
        return {slug: found[slug] for slug in kinds}  # in one order, whatever was asked of which rows

    arrays: dict[str, pa.Array] = {}
    largest_first = sorted(groups, key=lambda group: -_work(group))
    with ThreadPoolExecutor(threads) as pool:
        for done, part in enumerate(pool.map(values, largest_first), 1):
            arrays.update(part)
            if told is not None:
                told(f"{done} of {len(groups)} sorts, {len(arrays)} features")
    return arrays


def _work(group: Group) -> int:
    return sum(len(column.outputs) * (1 if group.is_still(column) else 10) for column in group.columns)


def _check_keys(keys: pa.Table, groups: Sequence[Group]) -> None:
    for name in ("tick", *(name for group in groups for name in group.join_keys)):
        if name not in keys.column_names:
            raise DataError(f"no column {name!r} among the keys", where="compute", found=keys.column_names)
