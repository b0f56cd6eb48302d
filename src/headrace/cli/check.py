"""`headrace check`: every fault of a problem that can be known before anything runs, each in one line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headrace.app.output import print_json
from headrace.cli.check_times import cadence_warnings, untimed_warnings
from headrace.core.clock import BEFORE_ALL, iso
from headrace.core.errors import HeadraceError
from headrace.evaluate.splits import time_windows
from headrace.lake.feed import known_before
from headrace.lake.table_faults import table_faults
from headrace.pipeline.extensions import check_extensions
from headrace.pipeline.production.intake import history_end
from headrace.problems.catalogue import load_problem
from headrace.problems.files import read_rows
from headrace.schema import HorizonLabel, Problem, Relationship
from headrace.synthesis.candidates import across
from headrace.synthesis.candidates.enumerate import Candidates, enumerate_candidates
from headrace.synthesis.engines import engine_of
from headrace.synthesis.history.joins import Join, check_joins
from headrace.synthesis.history.labels import require_two_values
from headrace.synthesis.language.columns import ARRIVAL, ORDER, column_kinds
from headrace.synthesis.spine.build import build_spine, check_cutoff

#: From this difference of the threshold on, a cheaper one is suggested.
_THRESHOLD_GAP = 0.1


def faults(problem: Problem) -> tuple[list[str], Mapping[str, pa.Table]]:
    """Return the faults of a problem's sources and columns, and the tables that could be read."""
    messages: list[str] = []
    tables: dict[str, pa.Table] = {}
    for table in problem.entity_set.tables:
        try:
            found, converted = table_faults(problem, table, read_rows(table))
        except HeadraceError as error:
            messages.append(str(error))
            continue
        messages += found
        if converted is not None:
            tables[table.name] = converted
    absent = _columns(problem, tables)
    messages += [
        *absent,
        *_unknown_columns(problem, tables),
        *_label_time_faults(problem, tables.get(problem.spine.table)),
    ]
    if not absent:
        messages += _column_faults(problem, tables) or ([] if messages else _label(problem, tables))
    return messages, tables


def _columns(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    required = [(r.child_table, r.child_column) for r in problem.entity_set.relationships]
    required += [(problem.carrier, key) for key in problem.join_keys]
    label = problem.label_expression
    if isinstance(label, HorizonLabel):
        required += [(label.table, column) for column in label.columns]
    else:
        required += [(problem.spine.table, label.column)]
    required += [(problem.spine.table, problem.cutoff.column)]
    return [
        f"{table}: no column {column!r}. found: {', '.join(tables[table].column_names)}."
        for table, column in dict.fromkeys(required)
        if table in tables and column not in tables[table].column_names
    ]


def _label_time_faults(problem: Problem, spine: pa.Table | None) -> list[str]:
    """Return a fault where the label is declared as known at its cutoff."""
    column = problem.label_expression.column
    if not problem.label_is_foreknown or (spine is not None and column not in spine.column_names):
        return []
    return [
        f"{problem.spine.table}.{column}: the label is declared as known at its cutoff. "
        f'say when its answer comes, as in known_at={{"{column}": "{problem.cutoff.column} + 3d"}}.'
    ]


def _label(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return a fault where the label cannot be computed, has no value, or is constant."""
    horizon = isinstance(problem.label_expression, HorizonLabel)
    needed = len(tables) == len(problem.entity_set.tables) if horizon else problem.spine.table in tables
    if not needed:
        return []  # a source that cannot be read is reported already
    try:
        require_two_values(problem, _mature(problem, tables)["label"].to_numpy())
    except HeadraceError as error:
        feed = problem.feed
        return [
            str(error) if feed is None else f"{error} that is of what was known before the feed, {iso(feed.start_us)}."
        ]
    return []


def _mature(problem: Problem, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the training rows of a first run."""
    if problem.feed is not None:
        start = problem.feed.start_us
        tables = {name: known_before(problem.entity_set.table(name), rows, start) for name, rows in tables.items()}
    until = _history_end(problem, tables)
    spine = build_spine(problem, _SourceTables(tables), end_us=until, now_us=until, engine=engine_of(problem))
    return spine.filter(spine["mature"])


def _history_end(problem: Problem, tables: Mapping[str, pa.Table]) -> int:
    """Return the end of the history of a first run: the start of the feed, else the end of the sources."""
    if problem.feed is not None:
        return problem.feed.start_us
    return history_end(problem, {name: tables[name] for name in problem.history_tables})


def _window_warnings(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return a warning where the rows do not suffice for the windows train, tune and gate."""
    mature = _mature(problem, tables)
    labels = mature["label"].to_numpy() if problem.label_expression.binary else None
    cutoffs, known = mature["cutoff"].to_numpy(), mature["label_known"].to_numpy()
    found = cadence_warnings(problem, cutoffs)
    try:
        time_windows(cutoffs, known, _history_end(problem, tables), labels=labels)
    except HeadraceError as error:
        return [*found, f"a run will stop: {error}"]
    return found


def _unknown_columns(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return faults of columns in bounds and roles that their table does not have."""
    return [
        f"{table.name}: {field}: no column {column!r}. found: {', '.join(tables[table.name].column_names)}."
        for table in problem.entity_set.tables
        for field, columns in (("bounds", table.bounds), ("roles", table.roles))
        for column in columns
        if table.name in tables and column not in tables[table.name].column_names
    ]


def _column_faults(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return faults of a cutoff that is no time, and of relationships through which no row finds its parent."""
    faults = []
    try:
        if problem.spine.table in tables:
            check_cutoff(problem, tables[problem.spine.table].schema)
    except HeadraceError as error:
        faults.append(str(error))
    for item in problem.entity_set.relationships:
        if item.parent_table in tables and item.child_table in tables:
            try:
                faults += [join.message for join in _joins(problem, item, tables) if join.is_fault]
            except HeadraceError as error:
                faults.append(str(error))
    return faults


def _joins(problem: Problem, item: Relationship, tables: Mapping[str, pa.Table]) -> tuple[Join, ...]:
    return check_joins(problem, _SourceTables(tables), (item,))


def _warnings(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return warnings: declarations that are unusual but valid."""
    warnings = [join.message for join in check_joins(problem, _SourceTables(tables)) if join.message]
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


class _SourceTables:
    """The tables as a bootstrap load would bring them into the lake."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables

    def table(self, name: str) -> pa.Table:
        rows = self._tables[name]
        come = pa.array(np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64))
        order = pa.array(np.arange(rows.num_rows, dtype=np.int64))
        return rows.append_column(ARRIVAL, come).append_column(ORDER, order)


def _candidate_summary(problem: Problem, tables: Mapping[str, pa.Table], found: Candidates) -> str:
    """Summarise the candidate features: their number, what the cap omits, and the cost of paths up and down."""
    schemas, rows = {name: table.schema for name, table in tables.items()}, _SourceTables(tables)
    text = f"{len(found.definitions)} candidate features"
    text += f" ({found.cut} more are cut by max_candidates={problem.max_candidates})" if found.cut else ""
    up_and_down = across.across_definitions(problem, column_kinds(problem, schemas), rows)
    omitted = [item for item in up_and_down if not item.is_candidate]
    if up_and_down:
        max_rows = max((item.pairs for item in up_and_down if item.is_candidate), default=0.0)
        offered = len(up_and_down) - len(omitted)
        text += f"\n{offered} go up and down again, for which up to {max_rows:,.0f} rows are asked each"
    if omitted:
        cheapest = min(omitted, key=lambda item: item.pairs)
        text += f"; {len(omitted)} are left out, for they would ask more than {across.MOST_PAIRS:,},"
        text += f" as {cheapest.definition.name} {cheapest.pairs:,.0f}"
    return text


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What was found of a problem.

    Attributes:
        problem: Its name.
        faults: What a run would refuse. With a fault, the rest is empty.
        tables: Name of a table -> its rows and columns.
        warnings: Declarations that are unusual but valid.
        candidates: Number of candidate features.
        summary: Of the candidates, for people.
    """

    problem: str
    faults: tuple[str, ...] = ()
    tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    candidates: int = 0
    summary: str = ""


def examine(reference: str) -> CheckReport:
    """Look at a problem's declaration and its sources.

    Raises:
        HeadraceError: The declaration cannot be read.
    """
    problem = load_problem(reference)
    check_extensions(problem)
    found, tables = faults(problem)
    if found:
        return CheckReport(problem=problem.name, faults=tuple(found))
    offered = enumerate_candidates(
        problem, {name: table.schema for name, table in tables.items()}, _SourceTables(tables)
    )
    return CheckReport(
        problem=problem.name,
        tables={name: {"rows": table.num_rows, "columns": table.num_columns} for name, table in tables.items()},
        warnings=(*_warnings(problem, tables), *offered.warnings),
        candidates=len(offered.definitions),
        summary=_candidate_summary(problem, tables, offered),
    )


def check_problem(reference: str, *, as_json: bool = False) -> None:
    """Print faults, warnings and candidates of a problem; exit code 1 where there is a fault."""
    report = examine(reference)
    if as_json:
        print_json(report)
    else:
        show_check(report)
    if report.faults:
        sys.exit(1)


def show_check(report: CheckReport) -> None:
    """Print faults, or tables, warnings and the candidates."""
    for fault in report.faults:
        print(f"fault: {fault}")
    for name, size in report.tables.items():
        print(f"{name}: {size['rows']} rows, {size['columns']} columns")
    for warning in report.warnings:
        print(f"warning: {warning}")
    if not report.faults:
        print(f"{report.problem}: nothing wrong; {report.summary}")
