"""What every contestant's script is given and writes; needs pandas alone and runs on Python 3.9 and later.

    PYTHON benchmarks/house_prices/NAME_contestant.py FOLDER OUT SECONDS SEED

FOLDER/train.csv, test.csv   rows with the price, and rows without
OUT/predictions.csv          column price
OUT/configurations.csv       finished_s, family, loss (RMSE of log(1 + price), validated), weight in the final model
OUT/facts.json               version, fit_s, row_ms (one row, median of 20), model (in words), note

A contestant learns log(1 + price) with the squared error, or optimises RMSLE where it knows it. Then it answers
questions until its input ends: a line names a CSV file of rows, and `<file>.out` receives their predictions.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

TARGET = "price"


class Given:
    """The arguments of the command line, the tables, and the number of cores that this process may use.

    Texts are categories where `categories` is true.
    """

    def __init__(self, categories=False):
        self.folder, self.out = Path(sys.argv[1]), Path(sys.argv[2])
        self.seconds, self.seed = float(sys.argv[3]), int(sys.argv[4])
        self.out.mkdir(parents=True, exist_ok=True)
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        train = read(self.folder / "train.csv")
        self.X, self.y = train.drop(columns=TARGET), train[TARGET]
        self.test = read(self.folder / "test.csv")
        self.levels = {}
        if categories:
            texts = [name for name in self.X if self.X[name].dtype == object]
            self.levels = {name: sorted(self.X[name].dropna().unique()) for name in texts}
        self.X, self.test = self.converted(self.X), self.converted(self.test)

    def converted(self, frame):
        """Return rows with the categories of the training rows."""
        frame = frame.copy()
        for name, levels in self.levels.items():
            frame[name] = pd.Categorical(frame[name], categories=levels)
        return frame


def read(path):
    """Read a table; a text NA is a missing value."""
    return pd.read_csv(path)


def finish(given, predict, configurations, version, model, fit_s, note=""):
    """Write predictions, configurations and facts, then answer questions."""
    pd.DataFrame({TARGET: np.asarray(predict(given.test), dtype=float)}).to_csv(
        given.out / "predictions.csv", index=False
    )
    columns = ["finished_s", "family", "loss", "weight"]
    pd.DataFrame(configurations, columns=columns).to_csv(given.out / "configurations.csv", index=False)
    row = given.test.iloc[[0]]
    predict(row)
    times = []
    for number in range(20):
        row = given.test.iloc[[number]]
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
    facts = {"version": version, "fit_s": fit_s, "row_ms": 1000 * statistics.median(times), "model": model,
             "note": note}  # fmt: skip
    (given.out / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    print("finished", flush=True)
    for line in sys.stdin:
        path = Path(line.strip())
        answer = np.asarray(predict(given.converted(read(path))), dtype=float)
        pd.DataFrame({TARGET: answer}).to_csv(str(path) + ".out", index=False)
        print("answered", flush=True)
