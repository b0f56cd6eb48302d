"""Candidate items of users at one instant: those they had before, those of similar users, and popular ones.

Neighbours of an item are the items that the same users interact with: cosine similarity of the columns of the matrix
of users and items (Sarwar, Karypis, Konstan and Riedl, 2001).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from headrace.recommendation.interactions import (
    Floats,
    Interactions,
    Ints,
    PairCounts,
    Past,
    best_per_row,
    distinct,
    pair_counts,
)

#: Most candidates of one origin for a row.
_PER_ORIGIN = 60
#: Newest interactions that neighbours are computed from, and items of a user that count for them.
_FOR_NEIGHBOURS, _ITEMS_OF_USER = 1_500_000, 60
#: Neighbours of an item, and its newest items by which a user reaches neighbours.
_NEIGHBOURS, _SEEDS = 40, 25


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """pair: row * items + item, sorted and distinct [m]. scores: origin -> score, 0 where another found it [m]."""

    pair: Ints
    scores: Mapping[str, Floats]
    items: int

    @property
    def row(self) -> Ints:
        return self.pair // self.items

    @property
    def item(self) -> Ints:
        return self.pair % self.items


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Similar items. similarity: [I, I], sparse, at most `_NEIGHBOURS` a row."""

    similarity: sp.csr_matrix


def neighbours_of(interactions: Interactions) -> Neighbours:
    """Compute the similarity of items, from the newest interactions."""
    new = interactions.newest(_FOR_NEIGHBOURS)
    codes = new.user * new.items + new.item
    different, newest = np.unique(codes[::-1], return_index=True)
    when = len(codes) - 1 - newest
    kept = best_per_row(different, when.astype(np.float64), new.items, _ITEMS_OF_USER)
    user, item = different[kept] // new.items, different[kept] % new.items
    counts = np.maximum(np.bincount(item, minlength=new.items), 1)
    weights = 1 / np.sqrt(counts[item])
    matrix = sp.csr_matrix((weights, (user, item)), shape=(new.users, new.items))
    parts = []
    transposed = matrix.T.tocsr()
    for start in range(0, new.items, 20_000):
        product = (transposed[start : start + 20_000] @ matrix).tocoo()
        row = product.row.astype(np.int64) + start
        apart = row != product.col
        pairs, values = row[apart] * new.items + product.col[apart], product.data[apart]
        best = best_per_row(pairs, values, new.items, _NEIGHBOURS)
        parts.append((pairs[best], values[best]))
    pairs, values = (np.concatenate(one) for one in zip(*parts, strict=True))
    similarity = sp.csr_matrix((values, (pairs // new.items, pairs % new.items)), shape=(new.items, new.items))
    return Neighbours(similarity=similarity)


def find_candidates(
    kinds: Sequence[Past], users: Ints, neighbours: Mapping[str, Neighbours], alike: sp.csr_matrix | None = None
) -> Candidates:
    """Find candidates of each row.

    Args:
        kinds: Kinds of interactions up to the instant of the query, the one that is predicted first.
        users: The users of the rows [r].
        neighbours: Similar items, by kind of interaction.
        alike: Similar items by their texts [U, I], where users are items too.
    """
    found: dict[str, tuple[Ints, Floats]] = {}
    items = kinds[0].items
    for past in kinds:
        had = pair_counts(past, users)
        best = best_per_row(had.pair, had.last_us.astype(np.float64), items, _PER_ORIGIN)
        found[f"had {past.name}"] = had.pair[best], had.count[best].astype(np.float64)
        if past.name in neighbours:
            found[f"near {past.name}"] = _near(had, neighbours[past.name], users, items)
    for name, length in (("popular", 1), ("popular in 4 periods", 4)):
        found[name] = _popular(kinds[0].item_counts[length], len(users))
    if alike is not None:
        found["alike"] = _best_of(alike[users].tocoo(), items)
    pair = distinct(np.concatenate([pairs for pairs, _ in found.values()]))
    scores = {}
    for name, (pairs, values) in found.items():
        scores[name] = np.zeros(len(pair))
        scores[name][np.searchsorted(pair, pairs)] = values
    return Candidates(pair=pair, scores=scores, items=items)


def _near(had: PairCounts, neighbours: Neighbours, users: Ints, items: int) -> tuple[Ints, Floats]:
    """Neighbours of each row's newest items, with the sum of their similarities."""
    best = best_per_row(had.pair, had.last_us.astype(np.float64), items, _SEEDS)
    row, item = had.pair[best] // items, had.pair[best] % items
    seeds = sp.csr_matrix((np.ones(len(row)), (row, item)), shape=(len(users), items))
    return _best_of((seeds @ neighbours.similarity).tocoo(), items)


def _best_of(scores: sp.coo_matrix, items: int) -> tuple[Ints, Floats]:
    pairs = scores.row.astype(np.int64) * items + scores.col
    best = best_per_row(pairs, scores.data, items, _PER_ORIGIN)
    order = np.argsort(pairs[best])
    return pairs[best][order], scores.data[best][order]


def _popular(counts: Ints, n_rows: int) -> tuple[Ints, Floats]:
    """The most frequent items, for every row."""
    top = np.sort(np.argsort(-counts, kind="stable")[:_PER_ORIGIN])
    top = top[counts[top] > 0]
    pairs = (np.arange(n_rows)[:, None] * len(counts) + top[None, :]).reshape(-1)
    return pairs, np.tile(counts[top].astype(np.float64), n_rows)
