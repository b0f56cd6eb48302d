"""The floor: one sort, one search, and what each class of primitive cannot do without, in bare numpy."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from protocol import clock, features, folder, report


def invertible(name: str, values: Any, lo: Any, hi: Any) -> Any:
    """Sum, mean, standard deviation: differences of running sums, of squares too."""
    before = np.concatenate([[0.0], np.cumsum(values)])
    total, n = before[hi] - before[lo], hi - lo
    if name == "sum":
        return total
    if name == "mean":
        return total / n
    squares = np.concatenate([[0.0], np.cumsum(values * values)])
    spread = np.maximum(squares[hi] - squares[lo] - total * total / n, 0.0)
    return np.where(n > 1, np.sqrt(spread / (n - 1)), np.nan)


def positional(name: str, values: Any, lo: Any, hi: Any) -> Any:
    return np.where(
        hi > lo, values[np.minimum(lo, len(values) - 1) if name == "first" else np.maximum(hi - 1, 0)], np.nan
    )


def extreme(name: str, values: Any, key: Any, lo: Any, hi: Any) -> Any:
    """The running extreme of each key, as all history is asked."""
    running, reached = {"min": np.minimum, "max": np.maximum}[name], np.empty_like(values)
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    for start, end in zip(starts, [*starts[1:], len(key)], strict=True):
        running.accumulate(values[start:end], out=reached[start:end])
    return np.where(hi > lo, reached[np.maximum(hi - 1, 0)], np.nan)


def distinct(values: Any, key: Any, lo: Any, hi: Any) -> Any:
    """How many were the first of their kind in their key."""
    order = np.lexsort((np.arange(len(key)), values, key))
    first = np.ones(len(key), dtype=bool)
    same = (key[order][1:] == key[order][:-1]) & (values[order][1:] == values[order][:-1])
    first[order[1:][same]] = False
    before = np.concatenate([[0], np.cumsum(first)])
    return np.where(hi > lo, (before[hi] - before[lo]).astype(float), np.nan)


def answer(feature: str, columns: dict[str, Any], key: Any, lo: Any, hi: Any) -> Any:
    if feature == "count":
        return (hi - lo).astype(np.float64)
    name, _, column = feature.rpartition("_")
    if name in ("sum", "mean", "std"):
        return invertible(name, columns[column], lo, hi)
    if name in ("first", "last"):
        return positional(name, columns[column], lo, hi)
    return (
        distinct(columns[column], key, lo, hi) if name == "num_unique" else extreme(name, columns[column], key, lo, hi)
    )


def main() -> None:
    events, asked = (pq.read_table(folder() / f"{name}.parquet") for name in ("events", "asked"))
    taken = []
    for _ in range(6):
        started = clock()
        key, at = events["key"].to_numpy(), events["at"].to_numpy()
        wanted, cutoff = asked["key"].to_numpy(), asked["cutoff"].to_numpy()
        order = np.lexsort((at, key))
        key, at = key[order], at[order]
        columns = {
            name: events[name].to_numpy()[order] for name in {item[-1] for item in features() if item != "count"}
        }
        width = int(max(at.max(), cutoff.max())) + 1
        hi = np.searchsorted(key * width + at, wanted * width + cutoff)
        lo = np.searchsorted(key, wanted)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = {name: answer(name, columns, key, lo, hi) for name in features()}
        taken.append(clock() - started)
    pq.write_table(pa.table({"row": asked["row"], **values}), folder() / "values.parquet")
    report(statistics.median(taken[1:]), cold=taken[0])


if __name__ == "__main__":
    main()
