"""Metrics of ranked lists of items: mean average precision, recall and reciprocal rank at k."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def list_metrics(
    lists: NDArray[np.int64], truth: Sequence[NDArray[np.int64]], k: int | None = None
) -> dict[str, float]:
    """Compute the metrics of ranked lists, over the rows with at least one true item.

    Args:
        lists: Items by rank [n, k]; -1 where a list is shorter.
        truth: True items of each row, distinct [n].
        k: Length of the lists that count; None: all.

    Returns:
        `map`: mean of (sum of the precision at each true item / min(number of true items, k)), as in the package
        relbench; `recall`: mean share of true items found; `mrr`: mean of 1 / rank of the first true item.
    """
    lists = lists if k is None else lists[:, :k]
    hits = np.stack([np.isin(row, items) for row, items in zip(lists, truth, strict=True)]) if len(lists) else lists
    counts = np.array([len(items) for items in truth])
    hits, counts = hits[counts > 0], counts[counts > 0]
    if not len(hits):
        return {}
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    average = (precision * hits).sum(axis=1) / np.minimum(counts, hits.shape[1])
    first = np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), 0.0)
    return {
        "map": float(average.mean()),
        "recall": float((hits.sum(axis=1) / counts).mean()),
        "mrr": float(first.mean()),
    }
