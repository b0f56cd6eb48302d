"""Interactions of users with items, by time, and their counts before an instant, for candidates and features.

| symbol | meaning                                            |
|--------|----------------------------------------------------|
| n      | interactions                                       |
| U, I   | number of users and of items                       |
| r      | rows of a query: a user each, at one instant       |
| pair   | row * I + item, an int64: one row's candidate item |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Lengths of history that interactions are counted over, in periods of a label; None: all of it.
LENGTHS = (1, 4, 16, None)


@dataclass(frozen=True, kw_only=True)
class Interactions:
    """One kind of interaction.

    Attributes:
        name: Of the kind, for features.
        user: Positions of users [n], below `users`.
        item: Positions of items [n], below `items`.
        at_us: When it became known [n], us, ascending.
        users, items: Number of users and of items.
    """

    name: str
    user: Ints
    item: Ints
    at_us: Ints
    users: int
    items: int

    def until(self, instant_us: int, since_us: int | None = None) -> Interactions:
        """Return those with since < at <= instant."""
        stop = int(np.searchsorted(self.at_us, instant_us, side="right"))
        start = 0 if since_us is None else int(np.searchsorted(self.at_us, since_us, side="right"))
        return Interactions(
            name=self.name,
            user=self.user[start:stop],
            item=self.item[start:stop],
            at_us=self.at_us[start:stop],
            users=self.users,
            items=self.items,
        )

    def __len__(self) -> int:
        return len(self.user)

    def newest(self, most: int) -> Interactions:
        """Return the last `most` of them."""
        return self if len(self) <= most else self.until(int(self.at_us[-1]), int(self.at_us[-most - 1]))


def interactions_of(
    name: str, user: NDArray[np.float64] | Ints, item: NDArray[np.float64] | Ints, at_us: Ints, users: int, items: int
) -> Interactions:
    """Build interactions from unsorted columns; rows without a valid user or item are left out."""
    valid = (user >= 0) & (user < users) & (item >= 0) & (item < items)
    order = np.argsort(at_us[valid], kind="stable")
    return Interactions(
        name=name,
        user=user[valid][order].astype(np.int64),
        item=item[valid][order].astype(np.int64),
        at_us=at_us[valid][order].astype(np.int64),
        users=users,
        items=items,
    )


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """What happened between the users of a query's rows and items. pair: sorted, distinct [m]; the rest [m]."""

    pair: Ints
    count: Ints
    last_us: Ints

    def positions(self, pair: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Return the position of each pair [q] in `pair`, and whether it is there [q]."""
        if not len(self.pair):
            return np.zeros(len(pair), dtype=np.int64), np.zeros(len(pair), dtype=np.bool_)
        place = np.minimum(np.searchsorted(self.pair, pair), len(self.pair) - 1)
        return place, self.pair[place] == pair


@dataclass(frozen=True, kw_only=True)
class Past:
    """Interactions of one kind up to an instant, with counts of items and users.

    Attributes:
        seen: The interactions, by time.
        instant_us, period_us: The instant, and the period of a label.
        by_user: Their positions, sorted by user and time [n].
        starts: Where each user begins in `by_user` [U + 1].
        item_counts, user_counts: Interactions of the last so many periods [I] and [U], by number; None: of all.
        item_age, user_age: Periods since the last one [I] and [U]; NaN where there is none.
    """

    seen: Interactions
    instant_us: int
    period_us: int
    by_user: Ints
    starts: Ints
    item_counts: Mapping[int | None, Ints]
    user_counts: Mapping[int | None, Ints]
    item_age: Floats
    user_age: Floats

    @property
    def name(self) -> str:
        return self.seen.name

    @property
    def items(self) -> int:
        return self.seen.items

    def of_users(self, users: Ints) -> tuple[Ints, Ints]:
        """Return the interactions of some users [q]: position of the user in `users`, and of the interaction."""
        sizes = self.starts[users + 1] - self.starts[users]
        row = np.repeat(np.arange(len(users)), sizes)
        within = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return row, self.by_user[self.starts[users][row] + within]


def past_of(kind: Interactions, instant_us: int, period_us: int) -> Past:
    """Count the interactions up to an instant."""
    seen = kind.until(instant_us)
    parts = {n: seen if n is None else seen.until(instant_us, instant_us - n * period_us) for n in LENGTHS}
    users = np.bincount(seen.user, minlength=seen.users)
    return Past(
        seen=seen,
        instant_us=instant_us,
        period_us=period_us,
        by_user=np.argsort(seen.user, kind="stable"),
        starts=np.concatenate([[0], np.cumsum(users)]),
        item_counts={n: np.bincount(part.item, minlength=seen.items) for n, part in parts.items()},
        user_counts={n: np.bincount(part.user, minlength=seen.users) for n, part in parts.items()},
        item_age=_age(seen.item, seen, seen.items, instant_us, period_us),
        user_age=_age(seen.user, seen, seen.users, instant_us, period_us),
    )


def _age(of: Ints, seen: Interactions, size: int, instant_us: int, period_us: int) -> Floats:
    age = np.full(size, np.nan)
    age[of] = (instant_us - seen.at_us) / period_us  # by time: the last one remains
    return age


def pair_counts(past: Past, users: Ints) -> PairCounts:
    """Count the interactions of each row's user with each item.

    Args:
        past: Interactions up to the query's instant.
        users: The users of the rows [r].
    """
    row, position = past.of_users(users)
    pairs = row * past.items + past.seen.item[position]
    order = np.argsort(pairs, kind="stable")
    pairs, at_us = pairs[order], past.seen.at_us[position][order]
    last = np.ones(len(pairs), dtype=np.bool_)
    last[:-1] = pairs[1:] != pairs[:-1]
    ends = np.flatnonzero(last)
    return PairCounts(pair=pairs[ends], count=np.diff(ends, prepend=-1), last_us=at_us[ends])


def distinct(values: Ints) -> Ints:
    """Return the distinct values, sorted; `np.unique` hashes them, and takes a hundred times as long."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def best_per_row(pair: Ints, score: Floats, items: int, most: int) -> NDArray[np.bool_]:
    """Return which pairs [m] are among the `most` with the highest score of their row."""
    row = pair // items
    order = np.lexsort((pair, -score, row))
    starts = np.flatnonzero(np.diff(row[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    best = np.zeros(len(pair), dtype=np.bool_)
    best[order[rank < most]] = True
    return best
