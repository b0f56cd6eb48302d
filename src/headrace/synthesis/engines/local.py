"""The local engine: sort once per (table, key, clock), then prefix sums, deques, two pointers and sweeps.

For each group of a plan, rows get a key code and are sorted by (code, known time); queries are deduplicated and sorted
by (code, tick). Only the rows inside the lookbacks of the queries are sorted (`scan.lookback_range`). Over columns
whose values never change after they become known, a lookback is a range of positions in the sort (`scan.constant`).

Where a version of a row was superseded, a range of positions holds too much. Such queries, lookbacks on event time and
time-varying columns (`stacked`) are computed by a sweep over insertions and removals (`scan.streams`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.synthesis.engines.groups import group_outputs
from headrace.synthesis.history.keys import plain
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.language.definitions import Stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.values import Ints
from headrace.synthesis.planning.checks import check_definitions
from headrace.synthesis.planning.plan import Group, make_plan


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Computes in this process.

    Attributes:
        threads: how many groups it computes at a time.
        progress: called with a line of text after each group.
    """

    threads: int = 2
    progress: Callable[[str], None] | None = None

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """See `language.engine.Engine`."""
        if not definitions:
            return pa.table({"tick": keys["tick"]}).select([])
        groups = checked_groups(problem, definitions, keys, snapshot)
        ticks = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
        sources = Sources(problem, snapshot)
        arrays = compute_groups(sources, groups, join_column_values(keys, groups), ticks, self.threads, self.progress)
        return pa.table({definition.slug: arrays[definition.slug] for definition in definitions})


def checked_groups(
    problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables
) -> tuple[Group, ...]:
    """The plan's groups.

    Raises:
        DeclarationError: a definition cannot be computed.
        DataError: a join key is missing among the keys.
    """
    check_definitions(problem, definitions, snapshot)
    groups = make_plan(problem, definitions).groups
    _check_keys(keys, groups)
    return groups


def join_column_values(keys: pa.Table, groups: Sequence[Group]) -> Mapping[str, pa.Array]:
    """The join columns of some groups, by name [queries]."""
    return {name: plain(keys[name]) for name in {name for group in groups for name in group.join_keys}}


def compute_groups(
    sources: Sources,
    groups: Sequence[Group],
    join_values: Mapping[str, pa.Array],
    ticks: Ints,
    threads: int,
    progress: Callable[[str], None] | None = None,
) -> dict[str, pa.Array]:
    """Every output of some groups by slug [queries]; `threads` groups are computed in parallel."""

    def values(group: Group) -> dict[str, pa.Array]:
        kinds = {output.slug: output.kind for column_plan in group.columns for output in column_plan.outputs}
        outputs = group_outputs(sources, group, join_values, ticks)
        columns = {slug: values.arrow(kinds[slug]) for slug, values in outputs}
        return {slug: columns[slug] for slug in kinds}  # in the plan's order

    arrays: dict[str, pa.Array] = {}
    largest_first = sorted(groups, key=lambda group: -_work(group))
    with ThreadPoolExecutor(threads) as pool:
        for done, part in enumerate(pool.map(values, largest_first), 1):
            arrays.update(part)
            if progress is not None:
                progress(f"{done} of {len(groups)} sorts, {len(arrays)} features")
    return arrays


def _work(group: Group) -> int:
    return sum(len(column.outputs) * (1 if group.is_constant(column) else 10) for column in group.columns)


def _check_keys(keys: pa.Table, groups: Sequence[Group]) -> None:
    for name in ("tick", *(name for group in groups for name in group.join_keys)):
        if name not in keys.column_names:
            raise DataError(f"no column {name!r} among the keys", where="compute", found=keys.column_names)
