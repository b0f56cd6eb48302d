"""Compute one partition with the local engine's own functions, from its rows, its queries and the replicated tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.core.extensions import Handed
from headrace.schema import Problem
from headrace.synthesis.engines.local import compute_groups
from headrace.synthesis.engines.shuffle.layout import Layout
from headrace.synthesis.engines.shuffle.routes import EntityPlan, Route
from headrace.synthesis.engines.shuffle.scatter import QUERY, VersionPairs
from headrace.synthesis.history.keys import plain
from headrace.synthesis.history.rows import Rows, Sources
from headrace.synthesis.language.columns import ORDER


@dataclass(frozen=True, kw_only=True)
class ShuffleTask:
    """What every worker knows of one entity's computation.

    Attributes:
        problem: declares the tables.
        handed: what the problem hands over, for workers in other processes.
        plan: of the entity.
        layout: keys to partitions.
        versions: by table, rows with several versions.
        schemas: of the routes' columns, by table; of the queries under "".
        slab_rows: results are written for so many rows of the matrix together.
    """

    problem: Problem
    handed: tuple[Handed, ...]
    plan: EntityPlan
    layout: Layout
    versions: Mapping[str, VersionPairs]
    schemas: Mapping[str, pa.Schema]
    slab_rows: int

    @property
    def routes(self) -> tuple[Route | None, ...]:
        """What is scattered: the queries (None), then the tables."""
        return (None, *self.plan.routes)

    def source_name(self, number: int) -> str:
        """The table of a scattered source by its number; "" for the queries."""
        route = self.routes[number]
        return "" if route is None else route.table


class PartitionSources(Sources):
    """The tables of one partition; what is derived of a replicated table is shared by all partitions of a process."""

    def __init__(self, problem: Problem, tables: Mapping[str, pa.Table], replicated: Sources) -> None:
        super().__init__(problem, _Tables(tables))
        self._own, self._replicated = tables, replicated

    def rows(self, name: str) -> Rows:
        """The rows of a table."""
        return super().rows(name) if name in self._own else self._replicated.rows(name)


class _Tables:
    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables

    def table(self, name: str) -> pa.Table:
        """The rows of a table."""
        return self._tables[name]


def compute_partition(
    task: ShuffleTask, partition: int, parts: Mapping[str, Sequence[pa.Table]], replicated: Sources, threads: int
) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """The values of a partition's queries.

    Args:
        task: of the entity.
        partition: its number.
        parts: its rows by table, in any order; the queries under "".
        replicated: the replicated tables.
        threads: how many groups are computed at a time.

    Returns:
        Row numbers of the queries, ascending [queries], and the values by slug [queries].
    """
    queries = _joined(parts.get("", ()), task.schemas[""], QUERY)
    tables = {
        route.table: _joined(parts.get(route.table, ()), task.schemas[route.table], ORDER) for route in task.plan.routes
    }
    groups = {"all": task.plan.groups, "sliced": task.plan.sliced, "whole": task.plan.whole}
    sources = PartitionSources(task.problem, tables, replicated)
    join_values = {name: plain(queries[name]) for name in task.plan.join_keys}
    ticks = np.asarray(queries["tick"].to_numpy(), dtype=np.int64)
    columns = compute_groups(sources, groups[task.layout.part_of(partition)], join_values, ticks, threads)
    return np.asarray(queries[QUERY].to_numpy(), dtype=np.int64), columns


def _joined(parts: Sequence[pa.Table], schema: pa.Schema, by: str) -> pa.Table:
    """All parts as one table, in ascending order of a column."""
    rows = pa.concat_tables([schema.empty_table(), *parts]).combine_chunks()
    order = np.asarray(rows[by].to_numpy(), dtype=np.int64)
    if (order[1:] < order[:-1]).any():
        rows = rows.take(pa.array(np.argsort(order, kind="stable"))).combine_chunks()
    return rows
