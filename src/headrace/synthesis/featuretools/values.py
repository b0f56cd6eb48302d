"""Compute featuretools' values from ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.schema import Problem
from headrace.synthesis.featuretools.names import Feature
from headrace.synthesis.language.columns import ORDER
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, stored
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.language.values import instants, numbers
from headrace.synthesis.primitives.finish import finish


@dataclass(frozen=True, kw_only=True)
class _InOrder:
    """A snapshot whose rows of one instant are in the order of their key, as an EntitySet sorts them."""

    problem: Problem
    snapshot: Tables

    def table(self, name: str) -> pa.Table:
        rows, table = self.snapshot.table(name), self.problem.entity_set.table(name)
        by = [*([table.time] if table.time else []), *table.keys]
        order = pc.sort_indices(rows, sort_keys=[(column, "ascending") for column in by])
        rank = np.empty(len(order), dtype=np.int64)
        rank[order.to_numpy()] = np.arange(len(order))
        return rows.set_column(rows.column_names.index(ORDER), ORDER, pa.array(rank))


def featuretools_matrix(
    problem: Problem,
    features: Sequence[Feature],
    keys: pa.Table,
    snapshot: Tables,
    engine: Engine,
    *,
    include_cutoff_time: bool = True,
) -> pa.Table:
    """Compute featuretools' values of features.

    Args:
        problem: declares the tables.
        features: parsed by `parse`.
        keys: the join key, and `tick`: the cutoff in us.
        snapshot: the tables.
        engine: computes our definitions.
        include_cutoff_time: whether rows exactly at the cutoff count.

    Returns:
        One column per feature by its name, one row per key: float64 for numbers and truth values, strings for
        categories, int64 us for times.
    """
    cutoffs = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
    ticks = pa.array(cutoffs + (1 if include_cutoff_time else 0))
    queries = keys.set_column(keys.column_names.index("tick"), "tick", ticks)
    needs = list(dict.fromkeys(need for feature in features for need in feature.needs))
    values = engine.compute(problem, stored(needs), queries, _InOrder(problem=problem, snapshot=snapshot))
    named = {name: values[name] for name in values.column_names}
    done: dict[Definition, Any] = {
        need: named[need.slug] if isinstance(need, Direct | Aggregate) and need.kind == "time"
        else finish([need], named, {}, cutoffs, cutoffs)[need.slug]
        for need in needs
    }  # fmt: skip
    return pa.table({feature.name: _combined(feature, [done[need] for need in feature.needs]) for feature in features})


def _combined(feature: Feature, values: list[Any]) -> Any:
    if feature.recipe is None or feature.recipe.combine is None:
        return values[0]
    inputs = [
        instants(value).astype(np.float64) if need.kind == "time" else numbers(value)
        for need, value in zip(feature.needs, values, strict=True)
    ]
    return pa.array(feature.recipe.combine(*inputs), from_pandas=True)
