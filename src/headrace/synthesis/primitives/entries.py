"""What a family computes over: the entries of one column, and the positions that each query sees of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from headrace.core.clock import NEVER
from headrace.synthesis.language.values import Flags, Floats, Ints

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Entries [n] of one column, sorted by (key, anchor, order of appending), nulls among them.

    key: entity code, never falling. anchor: the instant that an entry counts from (known time, or event time where the
    lookback runs on it). At most one of number (NaN missing), code (-1 missing; the rank of its category) and instant
    (NEVER missing) holds the values; none does where rows themselves are counted. categories: how many codes there are.
    """

    key: Ints
    anchor: Ints
    number: Floats | None = None
    code: Ints | None = None
    instant: Ints | None = None
    categories: int = 0
    _made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def take(self, entries: Ints, key: Ints) -> Entries:
        """Some entries under new keys."""

        def some(values: Any) -> Any:
            return None if values is None else values[entries]

        return Entries(
            key=key,
            anchor=self.anchor[entries],
            number=some(self.number),
            code=some(self.code),
            instant=some(self.instant),
            categories=self.categories,
        )

    def once(self, name: str, make: Callable[[], T]) -> T:
        """A derived array, made when it is first asked for; every lookback shares it."""
        if name not in self._made:
            self._made[name] = make()
        result: T = self._made[name]
        return result

    @cached_property
    def present(self) -> Flags:
        """Where the value is not null [n]; a row itself always is."""
        if self.number is not None:
            return np.asarray(~np.isnan(self.number))
        if self.code is not None:
            return np.asarray(self.code >= 0)
        if self.instant is not None:
            return np.asarray(self.instant != NEVER)
        return np.ones(len(self.key), dtype=np.bool_)

    @property
    def filled(self) -> Entries:
        """The entries whose value is not null; these themselves if none is."""
        return self if self._some_filled is None else self._some_filled

    @cached_property
    def _some_filled(self) -> Entries | None:
        """None for these themselves: a cache that held them would be a cycle, and what they hold would outlive them."""
        if self.present.all():
            return None
        kept = np.flatnonzero(self.present)
        return self.take(kept, self.key[kept])

    @cached_property
    def present_before(self) -> Ints:
        """How many values that are not null come before each position [n + 1]."""
        return np.concatenate([[0], np.cumsum(self.present)])

    @property
    def values(self) -> npt.NDArray[Any]:
        """Whatever holds the values [n]; ones where rows are counted."""
        held = (item for item in (self.number, self.code, self.instant) if item is not None)
        return next(held, np.ones(len(self.key)))

    @property
    def missing(self) -> Any:
        """What stands for a missing value among them."""
        return np.float64(np.nan) if self.instant is None and self.code is None else np.int64(self._absent)

    @property
    def _absent(self) -> int:
        return -1 if self.code is not None else NEVER

    @cached_property
    def start(self) -> Ints:
        """Where the entries of each entry's key begin [n]."""
        at = np.arange(len(self.key))
        if len(at):
            at[1:][self.key[1:] == self.key[:-1]] = 0
        return np.asarray(np.maximum.accumulate(at), dtype=np.int64)

    @property
    def x(self) -> Floats:
        """The numbers [n]."""
        if self.number is None:
            raise TypeError("a column without numbers")
        return self.number

    @property
    def codes(self) -> Ints:
        """The codes [n]; numbers are categories too, and their rank is their code."""
        return self.code if self.code is not None else self._ranked[0]

    @property
    def levels(self) -> Floats | None:
        """The numbers that codes stand for; None where they stand for names."""
        return None if self.code is not None else self._ranked[1]

    @property
    def kinds(self) -> int:
        """How many codes there are."""
        return self.categories if self.code is not None else len(self._ranked[1])

    @cached_property
    def _ranked(self) -> tuple[Ints, Floats]:
        levels, rank = np.unique(self.x + 0.0, return_inverse=True)
        there = levels[~np.isnan(levels)]
        return np.where(rank < len(there), rank, -1).astype(np.int64), there

    def category(self, code: Ints) -> npt.NDArray[Any]:
        """Codes [...] as what the column holds: themselves, or the numbers that they stand for."""
        levels = self.levels
        return code if levels is None else np.concatenate([levels, [np.nan]])[code]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of entries: positions lo <= i < hi [m] among all, low <= i < high among the filled ones.

    Each query's positions are of one key, and neither end ever falls from one query to the next. mid: a place in each
    window from which sums run to either side (see `moments`); where none is given, its start.
    """

    entries: Entries
    lo: Ints
    hi: Ints
    mid: Ints | None = None

    @cached_property
    def low(self) -> Ints:
        return self.lo if self.entries.filled is self.entries else self.entries.present_before[self.lo]

    @cached_property
    def high(self) -> Ints:
        return self.hi if self.entries.filled is self.entries else self.entries.present_before[self.hi]

    @cached_property
    def middle(self) -> Ints:
        if self.mid is None:
            return self.low
        return self.mid if self.entries.filled is self.entries else self.entries.present_before[self.mid]

    @cached_property
    def steps(self) -> tuple[Ints, Ints, Ints]:
        """The same among the steps from one filled entry to the next: a step stands where it ends."""
        low = np.minimum(self.low + 1, self.high)
        return low, np.clip(self.middle + 1, low, self.high), self.high

    @property
    def filled(self) -> Entries:
        return self.entries.filled

    @property
    def size(self) -> int:
        """How many queries."""
        return len(self.lo)


def gather(values: npt.NDArray[Any], at: Ints, there: Flags, missing: Any) -> npt.NDArray[Any]:
    """values[at] where there is something, else missing."""
    if not len(values):
        return np.full(len(at), missing)
    return np.where(there, values[np.where(there, at, 0)], missing)
