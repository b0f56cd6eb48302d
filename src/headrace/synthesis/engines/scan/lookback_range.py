"""Only the rows that windows can find: what is asked decides what is read.

With a lookback w nothing that became known before the earliest tick - w can matter, and what a window says depends on
what lies in it alone (`families.moments`). So a day's ticks cost the day and its lookbacks, however long history is,
and give the same bits. Without a lookback the last value of a key is still the last of any window that has one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace

import numpy as np

from headrace.core.clock import NEVER
from headrace.synthesis.history.column_values import Held
from headrace.synthesis.history.row_subset import RowSubset, subset_with_versions
from headrace.synthesis.history.rows import Rows
from headrace.synthesis.language.values import Flags, Ints
from headrace.synthesis.planning.plan import ColumnWork, Output
from headrace.synthesis.primitives.catalogue import CATALOGUE

#: What is the same of all history as of any part of its end that has one.
_LASTING = frozenset({"last", "last_time"})


def recent(rows: Rows, clock: tuple[str, ...], since_us: int, before_us: int) -> RowSubset | None:
    """The rows known in [since, before) on a clock, with all their versions; None where that is most of them."""

    def make() -> RowSubset | None:
        known = rows.known(clock)
        return subset_with_versions(rows, (known >= since_us) & (known < before_us))

    return rows.latest(("recent", clock), (since_us, before_us), make)


def longest_window(works: Sequence[ColumnWork]) -> int | None:
    """The longest lookback of what depends on its window alone; None where there is nothing like that."""
    spans = (output.lookback_us for work in works for output in work.outputs if _bounded(output))
    return max((span for span in spans if span is not None), default=None)


def near(works: Sequence[ColumnWork], longest_us: int) -> Iterator[ColumnWork]:
    """What recent rows can say of works: lookbacks as they are, and what lasts within the longest of them."""
    for work in those(works, lambda output: _bounded(output) or lasts(output)):
        outputs = tuple(replace(item, lookback_us=longest_us) if lasts(item) else item for item in work.outputs)
        yield replace(work, outputs=outputs)


def far(works: Sequence[ColumnWork], unsaid: Container[str]) -> Iterator[ColumnWork]:
    """What takes all history: what recent rows are not asked, or could not say (slugs)."""
    yield from those(works, lambda output: output.slug in unsaid or not (_bounded(output) or lasts(output)))


def those(works: Sequence[ColumnWork], wanted: Callable[[Output], bool]) -> Iterator[ColumnWork]:
    """Works with some of their outputs."""
    for work in works:
        outputs = tuple(filter(wanted, work.outputs))
        if outputs:
            yield replace(work, outputs=outputs)


def _bounded(output: Output) -> bool:
    return (
        output.on == "known"
        and output.lookback_us is not None
        and CATALOGUE.families[output.primitive].reads_only_lookback
    )


def lasts(output: Output) -> bool:
    """Whether it is the same of all history as of a part of its end in which it is not missing."""
    return output.on == "known" and output.lookback_us is None and output.primitive in _LASTING


def missing(held: Held) -> Flags:
    """Where there is no value [n]."""
    if held.number is not None:
        return np.asarray(np.isnan(held.number))
    if held.code is not None:
        return np.asarray(held.code < 0)
    return np.asarray(held.instant == NEVER)


def patched(held: Held, at: Ints, there: Held) -> Held:
    """Values [n], those at some places [k] replaced. Codes are of the same names."""
    found = replace(held)
    for name in ("number", "code", "instant"):
        values = getattr(held, name)
        if values is not None:
            values = values.copy()
            values[at] = getattr(there, name)
            found = replace(found, **{name: values})
    return found
