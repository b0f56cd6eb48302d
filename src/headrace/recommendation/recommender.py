"""Recommend items: candidates, their features and a ranking model, fitted before a cutoff and asked at it.

Training rows are those of earlier cutoffs, with interactions up to each cutoff alone. The last of them, the tune
window, chooses the number of boosting rounds, and whether the model or the plain order of candidates is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from headrace.recommendation.candidates import Candidates, Neighbours, find_candidates, neighbours_of
from headrace.recommendation.interactions import Floats, Interactions, Ints, Past, distinct, past_of
from headrace.recommendation.pair_features import Attributes, pair_features
from headrace.recommendation.precision import list_metrics
from headrace.recommendation.ranker import Examples, Ranker, fit_ranker, thinned

#: Rows that a model learns from and is tuned on, and rows whose candidates are in memory at once.
_TRAIN_ROWS, _TUNE_ROWS, _CHUNK = 40_000, 8_000, 4_000
#: Kinds of interactions whose neighbours are candidates.
_WITH_NEIGHBOURS = 3


@dataclass(frozen=True, kw_only=True)
class Requests:
    """Users at cutoffs. user: [n]; cutoff_us: [n]; items: what each takes in the period after the cutoff [n]."""

    user: Ints
    cutoff_us: Ints
    items: Sequence[Ints]

    def take(self, rows: Ints) -> Requests:
        """Return some rows."""
        return Requests(
            user=self.user[rows], cutoff_us=self.cutoff_us[rows], items=[self.items[int(row)] for row in rows]
        )

    def by_cutoff(self) -> Iterator[tuple[int, Ints]]:
        """Iterate over the cutoffs, newest first, with their rows by user. A user has one row at a cutoff."""
        for cutoff in np.unique(self.cutoff_us)[::-1]:
            yield int(cutoff), np.flatnonzero(self.cutoff_us == cutoff)


@dataclass(frozen=True, kw_only=True)
class World:
    """What recommendations are made from.

    Attributes:
        kinds: Kinds of interactions, the one that is predicted first.
        users, items: Attributes.
        period_us: Period of a label.
        alike: Similar items by text [U, I]; None unless users are items.
    """

    kinds: Sequence[Interactions]
    users: Attributes
    items: Attributes
    period_us: int
    alike: sp.csr_matrix | None = None


@dataclass(frozen=True, kw_only=True)
class Recommendations:
    """lists: items by rank [n, k], -1 beyond the last. metrics: on the tune rows, of the model and of plain orders."""

    lists: NDArray[np.int64]
    metrics: Mapping[str, float]
    family: str
    features: int
    train_rows: int
    seconds: Mapping[str, float]


def recommend(
    world: World,
    train: Requests,
    tune: Requests,
    asked: Requests,
    *,
    k: int,
    seed: int = 0,
    threads: int = 1,
    seconds: float | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Recommendations:
    """Recommend k items to each asked user.

    Args:
        world: Interactions and attributes; of each row only what is known at its cutoff is used.
        train, tune: Rows with labels; the tune rows are later.
        asked: Rows to recommend for.
        k: Items of a list.
        seed: Of samples and model.
        threads: Of the model.
        seconds: Time that is left for everything.
        progress: Receives messages.
    """
    begun, rng = time.perf_counter(), np.random.default_rng(seed)
    tune_rows = tune.take(_sampled(len(tune.user), _TUNE_ROWS, rng))
    tune_found = list(_answered(world, tune_rows))
    names, tune_examples = _learnt_from(tune_found, tune_rows, rng)
    pace = (time.perf_counter() - begun) / max(len(tune_rows.user), 1)
    most = _affordable(seconds, pace, len(asked.user))
    train_rows = _newest(train, most, rng)
    progress(f"{len(train_rows.user)} training rows, {pace * 1e3:.1f} ms a row")
    _, examples = _examples(world, train_rows, rng)
    ranker, metrics = None, _plain_orders(tune_found, tune_rows, k)
    marks = {"candidates": time.perf_counter() - begun}
    if examples is not None and tune_examples is not None:
        ranker = fit_ranker(examples, names, k=k, seed=seed, threads=threads, tune=tune_examples)
        lists = _lists(tune_found, _scorer("ranker", ranker, threads), len(tune_rows.user), k)
        metrics["ranker"] = list_metrics(lists, tune_rows.items).get("map", 0.0)
        both = _joined(examples, tune_examples)
        ranker = fit_ranker(both, names, k=k, seed=seed, threads=threads, rounds=_grown(ranker, examples, both))
    best = max(metrics, key=lambda name: metrics[name])
    progress("map on the tune rows: " + ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    marks["fit"] = time.perf_counter() - begun - marks["candidates"]
    scorer = _scorer(best, ranker, threads)
    lists = np.full((len(asked.user), k), -1, dtype=np.int64)
    for found in _answered(world, asked):
        _fill(lists, found, scorer(found))
    marks["test"] = time.perf_counter() - begun - marks["candidates"] - marks["fit"]
    return Recommendations(
        lists=lists,
        metrics=metrics,
        family="lightgbm lambdarank" if best == "ranker" else best,
        features=len(names),
        train_rows=len(train_rows.user) + len(tune_rows.user),
        seconds=marks,
    )


#: Candidates, their values [m, f], the names of these, and the row of the request of each candidate [m].
Found = tuple[Candidates, NDArray[np.float32], list[str], Ints]


def _answered(world: World, requests: Requests) -> Iterator[Found]:
    """Candidates with features of the rows, in chunks; rows of one cutoff share counts and similarity of items."""
    for cutoff, rows in requests.by_cutoff():
        past = [past_of(kind, cutoff, world.period_us) for kind in world.kinds]
        neighbours = _neighbours(past)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            users = requests.user[chunk]
            candidates = find_candidates(past, users, neighbours, world.alike)
            names, values = pair_features(candidates, past, users, world.users, world.items)
            yield candidates, values, names, chunk[candidates.row]


def _neighbours(kinds: Sequence[Past]) -> dict[str, Neighbours]:
    return {past.name: neighbours_of(past.seen) for past in kinds[:_WITH_NEIGHBOURS]}


def _examples(world: World, requests: Requests, rng: np.random.Generator) -> tuple[list[str], Examples | None]:
    """Examples of the rows, and the names of the features."""
    return _learnt_from(_answered(world, requests), requests, rng)


def _learnt_from(
    answered: Iterable[Found], requests: Requests, rng: np.random.Generator
) -> tuple[list[str], Examples | None]:
    values: list[NDArray[np.float32]] = []
    relevant: list[NDArray[np.bool_]] = []
    sizes: list[Ints] = []
    names: list[str] = []
    for candidates, features, of_features, request in answered:
        names = of_features
        hit = _hits(candidates, request, requests)
        kept = thinned(candidates.row, hit, rng)
        values.append(features[kept])
        relevant.append(hit[kept])
        sizes.append(np.unique(candidates.row[kept], return_counts=True)[1])
    if not sum(int(one.sum()) for one in relevant):
        return names, None
    return names, Examples(
        values=np.concatenate(values), relevant=np.concatenate(relevant), sizes=np.concatenate(sizes)
    )


def _hits(candidates: Candidates, request: Ints, requests: Requests) -> NDArray[np.bool_]:
    """Whether each candidate is an item of its row [m]."""
    rows = distinct(request)
    owner = np.repeat(rows, [len(requests.items[int(row)]) for row in rows])
    true = [np.asarray(requests.items[int(row)], dtype=np.int64) for row in rows]
    codes = owner * candidates.items + (np.concatenate(true) if true else np.empty(0, dtype=np.int64))
    return np.isin(request * candidates.items + candidates.item, codes)


def _plain_orders(found: Sequence[Found], requests: Requests, k: int) -> dict[str, float]:
    """Mean average precision on the tune rows of the candidates' own orders."""
    metrics = {}
    for name in ("popular", "had before"):
        lists = _lists(found, _scorer(name, None, 1), len(requests.user), k)
        metrics[name] = list_metrics(lists, requests.items).get("map", 0.0)
    return metrics


def _scorer(name: str, ranker: Ranker | None, threads: int) -> Callable[[Found], Floats]:
    if name == "ranker" and ranker is not None:
        return lambda found: ranker.score(found[1], threads)
    if name == "popular":
        return lambda found: np.asarray(found[0].scores["popular"], dtype=np.float64)
    return _had_before


def _had_before(found: Found) -> Floats:
    """By the number of earlier interactions, then by neighbours, then by popularity."""
    scores = found[0].scores
    had = sum((values for name, values in scores.items() if name.startswith("had ")), start=np.zeros(len(found[1])))
    near = sum((values for name, values in scores.items() if name.startswith("near ")), start=np.zeros(len(found[1])))
    popular = scores["popular"] / max(float(scores["popular"].max(initial=1.0)), 1.0)
    return np.asarray(had + near / (1 + near) * 0.5 + 0.1 * popular, dtype=np.float64)


def _lists(found: Iterable[Found], scorer: Callable[[Found], Floats], n_rows: int, k: int) -> NDArray[np.int64]:
    """The k best candidates of each row [n, k], -1 where a row has fewer."""
    lists = np.full((n_rows, k), -1, dtype=np.int64)
    for one in found:
        _fill(lists, one, scorer(one))
    return lists


def _fill(lists: NDArray[np.int64], found: Found, score: Floats) -> None:
    candidates, request = found[0], found[3]
    order = np.lexsort((-score, request))
    starts = np.flatnonzero(np.diff(request[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    inside = rank < lists.shape[1]
    lists[request[order[inside]], rank[inside]] = candidates.item[order[inside]]


def _sampled(n: int, most: int, rng: np.random.Generator) -> Ints:
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def _newest(requests: Requests, most: int, rng: np.random.Generator) -> Requests:
    """Rows of the newest cutoffs, at most half of `most` from one cutoff."""
    chosen: list[Ints] = []
    for _, rows in requests.by_cutoff():
        left = most - sum(map(len, chosen))
        if left <= 0:
            break
        chosen.append(rows[_sampled(len(rows), min(left, max(most // 2, 1)), rng)])
    return requests.take(np.sort(np.concatenate(chosen))) if chosen else requests


def _affordable(seconds: float | None, pace_s: float, asked: int) -> int:
    """Training rows that leave time for the asked ones and the fits."""
    if seconds is None:
        return _TRAIN_ROWS
    left = 0.6 * seconds - pace_s * asked
    return int(np.clip(left / max(pace_s, 1e-9), 500, _TRAIN_ROWS))


def _joined(first: Examples, second: Examples) -> Examples:
    return Examples(
        values=np.concatenate([first.values, second.values]),
        relevant=np.concatenate([first.relevant, second.relevant]),
        sizes=np.concatenate([first.sizes, second.sizes]),
    )


def _grown(ranker: Ranker, train: Examples, both: Examples) -> int:
    """Rounds for more rows: in the proportion of the rows, at most half as many again."""
    return max(1, int(ranker.rounds * min(len(both.sizes) / max(len(train.sizes), 1), 1.5)))


def popular_lists(world: World, requests: Requests, k: int) -> NDArray[np.int64]:
    """The most popular items of the last period before each cutoff, the same for all users [n, k]."""
    lists = np.full((len(requests.user), k), -1, dtype=np.int64)
    for cutoff, rows in requests.by_cutoff():
        counts = past_of(world.kinds[0], cutoff, world.period_us).item_counts[1]
        top = np.argsort(-counts, kind="stable")[:k]
        lists[rows, : len(top)] = top
    return lists
