"""The input of an aggregation kernel: the entries of one column, and the range of them inside each query's lookback."""

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

    Attributes:
        key: entity code [n], ascending.
        anchor: the instant of each entry in us [n]: known time, or event time where lookbacks are on event time.
        number: values [n], NaN missing. At most one of number, code and instant is given, none where rows themselves
            are counted.
        code: ranks of categories [n], -1 missing.
        instant: instants in us [n], NEVER missing.
        categories: how many codes there are.
    """

    key: Ints
    anchor: Ints
    number: Floats | None = None
    code: Ints | None = None
    instant: Ints | None = None
    categories: int = 0
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

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

    def cached(self, name: str, compute: Callable[[], T]) -> T:
        """A derived value by name, computed at its first use and shared by all lookbacks."""
        if name not in self._cache:
            self._cache[name] = compute()
        result: T = self._cache[name]
        return result

    @cached_property
    def is_valid(self) -> Flags:
        """Where the value is not null [n]; true everywhere where rows themselves are counted."""
        if self.number is not None:
            return np.asarray(~np.isnan(self.number))
        if self.code is not None:
            return np.asarray(self.code >= 0)
        if self.instant is not None:
            return np.asarray(self.instant != NEVER)
        return np.ones(len(self.key), dtype=np.bool_)

    @property
    def valid(self) -> Entries:
        """The entries whose value is not null; `self` if none is null."""
        return self if self._without_nulls is None else self._without_nulls

    @cached_property
    def _without_nulls(self) -> Entries | None:
        """None for `self`: a reference to itself would be a cycle, and its arrays would be freed late."""
        if self.is_valid.all():
            return None
        positions = np.flatnonzero(self.is_valid)
        return self.take(positions, self.key[positions])

    @cached_property
    def valid_before(self) -> Ints:
        """How many values that are not null come before each position [n + 1]."""
        return np.concatenate([[0], np.cumsum(self.is_valid)])

    @property
    def values(self) -> npt.NDArray[Any]:
        """The values [n], as numbers, codes or instants; ones where rows are counted."""
        arrays = (item for item in (self.number, self.code, self.instant) if item is not None)
        return next(arrays, np.ones(len(self.key)))

    @property
    def missing(self) -> Any:
        """The missing value among them: NaN, -1 or NEVER."""
        return np.float64(np.nan) if self.instant is None and self.code is None else np.int64(self._absent)

    @property
    def _absent(self) -> int:
        return -1 if self.code is not None else NEVER

    @cached_property
    def start(self) -> Ints:
        """Position of the first entry of each entry's key [n]."""
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
    def n_codes(self) -> int:
        """How many codes there are."""
        return self.categories if self.code is not None else len(self._ranked[1])

    @cached_property
    def _ranked(self) -> tuple[Ints, Floats]:
        levels, rank = np.unique(self.x + 0.0, return_inverse=True)
        known = levels[~np.isnan(levels)]
        return np.where(rank < len(known), rank, -1).astype(np.int64), known

    def category(self, code: Ints) -> npt.NDArray[Any]:
        """Codes [...] as values of the column: themselves, or the numbers that they stand for."""
        levels = self.levels
        return code if levels is None else np.concatenate([levels, [np.nan]])[code]


@dataclass(frozen=True, kw_only=True)
class LookbackRanges:
    """The range of entries inside each query's lookback, as positions.

    A range's positions are of one key, and neither end decreases from one query to the next. Positions among all
    entries are `lo_all <= i < hi_all`; positions among the entries that are not null (`valid`) are `lo <= i < hi`.

    Attributes:
        entries: the entries, nulls among them.
        lo_all: first position of each range [m].
        hi_all: end of each range [m].
        mid_all: a border inside each range [m], from which sums are added up to either side (see `sums`); None: lo_all.
    """

    entries: Entries
    lo_all: Ints
    hi_all: Ints
    mid_all: Ints | None = None

    @property
    def valid(self) -> Entries:
        """The entries whose value is not null."""
        return self.entries.valid

    @cached_property
    def lo(self) -> Ints:
        """First position of each range among the valid entries [m]."""
        return self._among_valid(self.lo_all)

    @cached_property
    def hi(self) -> Ints:
        """End of each range among the valid entries [m]."""
        return self._among_valid(self.hi_all)

    @cached_property
    def mid(self) -> Ints:
        """Border of each range among the valid entries [m]."""
        return self.lo if self.mid_all is None else self._among_valid(self.mid_all)

    def _among_valid(self, position: Ints) -> Ints:
        return position if self.entries.valid is self.entries else self.entries.valid_before[position]

    @cached_property
    def steps(self) -> tuple[Ints, Ints, Ints]:
        """lo, mid, hi among the steps between neighbouring valid entries; a step has the position of its end."""
        lo = np.minimum(self.lo + 1, self.hi)
        return lo, np.clip(self.mid + 1, lo, self.hi), self.hi

    @property
    def size(self) -> int:
        """How many ranges (queries) there are."""
        return len(self.lo_all)


def take_where(values: npt.NDArray[Any], at: Ints, where: Flags, missing: Any) -> npt.NDArray[Any]:
    """values[at] where a flag is set, else the missing value [m]."""
    if not len(values):
        return np.full(len(at), missing)
    return np.where(where, values[np.where(where, at, 0)], missing)
