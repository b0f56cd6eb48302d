"""The lookbacks over which candidates aggregate a table: every one, the middle and the longest one, or the longest.

None is all history: longer than any lookback.
"""

from __future__ import annotations

from headrace.schema import Problem, Table


def every_span(problem: Problem, table: Table) -> tuple[int | None, ...]:
    """All lookbacks of a table in us, in the order of their declaration; only all history for a table without time."""
    if table.row_known is None:
        return (None,)
    spans: tuple[int | None, ...] = problem.lookbacks_us
    return (*spans, None) if problem.has_all_history or not spans else spans


def longest_span(problem: Problem, table: Table) -> int | None:
    """The longest lookback of a table, in us."""
    return _ordered(problem, table)[-1]


def middle_and_longest_span(problem: Problem, table: Table) -> tuple[int | None, ...]:
    """The middle and the longest lookback of a table, in us; one where they are the same."""
    ordered = _ordered(problem, table)
    return tuple(dict.fromkeys((ordered[len(ordered) // 2], ordered[-1])))


def _ordered(problem: Problem, table: Table) -> list[int | None]:
    return sorted(every_span(problem, table), key=lambda span: (span is None, span or 0))
