"""Fit LightGBM on a training set in memory or in mapped files, and measure what the process held; for bench_memory.

    python headrace_fit_peer.py FOLDER memory|files

FOLDER has training.parquet. The figures are written to FOLDER/MODE.json, and the model's text beside it. Held memory is
what only this process can use: a mapped page of a file can be dropped at any time, and is not counted.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from headrace.core import parquet
from headrace.core.mapped import SLICE_ROWS, mapped_table
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Encoder
from headrace.models.families import get_family

ROUNDS = 20


def held_mb() -> float:
    """Return the resident memory that is no mapped file."""
    memory = psutil.Process().memory_info()
    return float(memory.rss - memory.shared) / 1e6


class Peak:
    """The most that was held since it was made, sampled every five milliseconds."""

    def __init__(self) -> None:
        self.mb = held_mb()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.mb = max(self.mb, held_mb())
            time.sleep(0.005)


def main() -> None:
    folder, mode = Path(sys.argv[1]), sys.argv[2]
    family = get_family("lightgbm")
    before, peak, started = held_mb(), Peak(), time.process_time()
    if mode == "files":
        file = parquet.ParquetFile(folder / "training.parquet")
        table = mapped_table(folder, file.schema, file.batches(SLICE_ROWS))
    else:
        table = parquet.read(folder / "training.parquet")
    label, matrix = table["label"].to_numpy(), table.drop_columns(["label"])
    encoder = Encoder.fit(matrix)
    design = encoder.encode_in_file(matrix, folder) if mode == "files" else encoder.encode(matrix)
    train = np.flatnonzero(np.arange(len(label)) % 10 > 0)  # not consecutive: these rows are copied
    config = family.default()
    fitted = family.fit(design.rows(train), label[train], config, metric=METRICS["auc"], rounds=ROUNDS, threads=2)
    predicted = fitted.predict(design, threads=2)
    figures = {"seconds": time.process_time() - started, "before_mb": before, "peak_mb": peak.mb}
    fitted.save(folder)
    (folder / "model.txt").rename(folder / f"{mode}.txt")
    np.save(folder / f"{mode}.npy", predicted)
    (folder / f"{mode}.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
