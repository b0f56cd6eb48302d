"""Warnings of a problem: declarations that are unusual but valid, and rows that do not suffice."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from headrace.core.clock import iso
from headrace.core.errors import HeadraceError
from headrace.evaluate.splits import time_windows
from headrace.pipeline.operations.check_rows import SourceTables, first_history_end, mature_rows
from headrace.pipeline.operations.check_times import cadence_warnings, untimed_warnings
from headrace.pipeline.production.intake import history_end
from headrace.schema import Problem
from headrace.synthesis.history.joins import check_joins

#: From this difference of the threshold on, a cheaper one is suggested.
_THRESHOLD_GAP = 0.1


def warnings_of(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return warnings: declarations that are unusual but valid."""
    warnings = [join.message for join in check_joins(problem, SourceTables(tables)) if join.message]
    warnings += [*untimed_warnings(problem, tables), *_window_warnings(problem, tables)]
    warnings += _cost_warnings(problem)
    if problem.feed is not None:
        end = history_end(problem, {name: tables[name] for name in problem.history_tables})
        if end <= problem.feed.start_us:
            warnings.append(
                f"the feed starts at {iso(problem.feed.start_us)} and the sources end before: nothing is replayed"
            )
        elif end <= problem.feed.end_us - problem.feed.step_us:
            warnings.append(
                f"the feed ends at {iso(problem.feed.end_us)} and the sources at {iso(end)}: steps are empty"
            )
    return warnings


def _cost_warnings(problem: Problem) -> list[str]:
    """Return a warning where another threshold than the declared one would cost less with calibrated probabilities."""
    costs = problem.costs
    if costs is None or costs.threshold is None or abs(costs.threshold - costs.cheapest_threshold) < _THRESHOLD_GAP:
        return []
    return [
        f"costs: decisions at threshold={costs.threshold:g}; with calibrated probabilities "
        f"{costs.cheapest_threshold:.2g} costs least"
    ]


def _window_warnings(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return a warning where the rows do not suffice for the windows train, tune and gate."""
    mature = mature_rows(problem, tables)
    labels = mature["label"].to_numpy() if problem.label_expression.binary else None
    cutoffs, known = mature["cutoff"].to_numpy(), mature["label_known"].to_numpy()
    found = cadence_warnings(problem, cutoffs)
    try:
        time_windows(cutoffs, known, first_history_end(problem, tables), labels=labels)
    except HeadraceError as error:
        return [*found, f"a run will stop: {error}"]
    return found
