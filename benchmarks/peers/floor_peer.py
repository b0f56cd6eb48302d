"""The floor: one sort, one search, and what each class of primitive cannot do without, in bare numpy."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from protocol import folder, report


def main() -> None:
    events, asked = (pq.read_table(folder() / f"{name}.parquet") for name in ("events", "asked"))
    key, at, x, y = (events[name].to_numpy() for name in ("key", "at", "x", "y"))
    wanted, cutoff = asked["key"].to_numpy(), asked["cutoff"].to_numpy()
    started = time.perf_counter()
    order = np.lexsort((at, key))
    key, at, x, y = key[order], at[order], x[order], y[order]
    width = int(max(at.max(), cutoff.max())) + 1
    hi = np.searchsorted(key * width + at, wanted * width + cutoff)
    lo = np.searchsorted(key, wanted)
    columns = {"count": (hi - lo).astype(np.float64)}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, values in (("x", x), ("y", y)):
            before = np.concatenate([[0.0], np.cumsum(values)])
            columns[f"sum_{name}"] = before[hi] - before[lo]
            columns[f"mean_{name}"] = columns[f"sum_{name}"] / (hi - lo)
            for function, running in (("min", np.minimum), ("max", np.maximum)):
                reached = np.empty_like(values)
                starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
                for start, end in zip(starts, [*starts[1:], len(key)], strict=True):
                    running.accumulate(values[start:end], out=reached[start:end])
                columns[f"{function}_{name}"] = np.where(hi > lo, reached[np.maximum(hi - 1, 0)], np.nan)
    seconds = time.perf_counter() - started
    pq.write_table(pa.table({"row": asked["row"], **columns}), folder() / "values.parquet")
    report(seconds)


if __name__ == "__main__":
    main()
