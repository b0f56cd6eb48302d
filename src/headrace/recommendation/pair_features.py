"""Features of a pair of user and item at one instant, for the ranking model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.recommendation.candidates import Candidates
from headrace.recommendation.interactions import Floats, Ints, Past, pair_counts


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """What is known of users or items.

    Attributes:
        numbers: Name -> number of each, NaN where there is none.
        groups: Name -> code of each, -1 where there is none.
        since_us: When each row became known, us; None: always.
    """

    numbers: Mapping[str, Floats] = field(default_factory=dict)
    groups: Mapping[str, Ints] = field(default_factory=dict)
    since_us: Ints | None = None


def pair_features(
    candidates: Candidates, kinds: Sequence[Past], users: Ints, of_users: Attributes, of_items: Attributes
) -> tuple[list[str], NDArray[np.float32]]:
    """Compute the features of candidates.

    Args:
        candidates: Pairs [m].
        kinds: Kinds of interactions up to the instant of the query.
        users: The users of the rows [r].
        of_users, of_items: Their attributes.

    Returns:
        Names, and values [m, number of names].
    """
    row, item = candidates.row, candidates.item
    columns: dict[str, NDArray[Any]] = {f"score {name}": score for name, score in candidates.scores.items()}
    for past in kinds:
        columns |= _of_kind(candidates, row, item, past, users)
        for name, codes in of_items.groups.items():
            columns[f"share {past.name} {name}"] = _share(row, item, past, users, codes)
    instant_us, period_us = kinds[0].instant_us, kinds[0].period_us
    if of_items.since_us is not None:
        columns["age of item"] = (instant_us - of_items.since_us[item]) / period_us
    if of_users.since_us is not None:
        columns["age of user"] = ((instant_us - of_users.since_us[users]) / period_us)[row]
    for what, of, places in (("item", of_items, item), ("user", of_users, users[row])):
        columns |= {f"{what} {name}": values[places] for name, values in (*of.numbers.items(), *of.groups.items())}
    return list(columns), np.stack([values.astype(np.float32) for values in columns.values()], axis=1)


def _of_kind(candidates: Candidates, row: Ints, item: Ints, past: Past, users: Ints) -> dict[str, NDArray[Any]]:
    """Counts and ages of the pair, of its item and of its user."""
    name, had = past.name, pair_counts(past, users)
    place, there = had.positions(candidates.pair)
    columns: dict[str, NDArray[Any]] = {
        f"pairs {name}": np.zeros(len(row)),
        f"age of pair {name}": np.full(len(row), np.nan),
        f"age of item {name}": past.item_age[item],
        f"age of user {name}": past.user_age[users][row],
    }
    columns[f"pairs {name}"][there] = had.count[place[there]]
    columns[f"age of pair {name}"][there] = (past.instant_us - had.last_us[place[there]]) / past.period_us
    for length in past.item_counts:
        text = "all" if length is None else f"{length}"
        columns[f"item {name} {text}"] = past.item_counts[length][item]
        columns[f"user {name} {text}"] = past.user_counts[length][users][row]
    return columns


def _share(row: Ints, item: Ints, past: Past, users: Ints, codes: Ints) -> Floats:
    """Share of the user's interactions whose item has the candidate's code; NaN where it has none."""
    n_codes = int(codes.max(initial=0)) + 1
    of_row, position = past.of_users(users)
    keys, counts = np.unique(of_row * n_codes + np.maximum(codes[past.seen.item[position]], 0), return_counts=True)
    share = np.zeros(len(row))
    if len(keys):
        total = np.maximum(np.bincount(of_row, minlength=len(users)), 1)
        query = row * n_codes + np.maximum(codes[item], 0)
        place = np.minimum(np.searchsorted(keys, query), len(keys) - 1)
        share = np.where(keys[place] == query, counts[place], 0) / total[row]
    return np.where(codes[item] >= 0, share, np.nan)
