"""Check a problem before anything runs: its faults, its warnings, and the candidate features that it offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from headrace.pipeline.extensions import check_extensions
from headrace.pipeline.operations.check_faults import faults
from headrace.pipeline.operations.check_rows import SourceTables
from headrace.pipeline.operations.check_warnings import warnings_of
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem
from headrace.synthesis.candidates import across
from headrace.synthesis.candidates.enumerate import Candidates, enumerate_candidates
from headrace.synthesis.language.columns import column_kinds


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


def check_problem(reference: str) -> CheckReport:
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
        problem, {name: table.schema for name, table in tables.items()}, SourceTables(tables)
    )
    return CheckReport(
        problem=problem.name,
        tables={name: {"rows": table.num_rows, "columns": table.num_columns} for name, table in tables.items()},
        warnings=(*warnings_of(problem, tables), *offered.warnings),
        candidates=len(offered.definitions),
        summary=_candidate_summary(problem, tables, offered),
    )


def _candidate_summary(problem: Problem, tables: Mapping[str, pa.Table], found: Candidates) -> str:
    """Summarise the candidate features: their number, what the cap omits, and the cost of paths up and down."""
    schemas, rows = {name: table.schema for name, table in tables.items()}, SourceTables(tables)
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
