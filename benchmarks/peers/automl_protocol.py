"""What every AutoML system reads and writes: `PYTHON benchmarks/peers/automl_NAME.py FOLDER`.

Reads train.csv, test.csv (without the target) and task.json; writes predictions.csv (a number, or the probability of
each class) and run.json. Standard library and pandas only: it runs in the environments of the peers.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass
class Case:
    """A case: frames without the target, labels, and task: kind, mode, key, seconds, cores, seed, options."""

    folder: Path
    train: Any
    label: Any
    test: Any
    task: dict[str, Any]

    @property
    def key(self) -> str:
        """Column of the groups or the times; "" for random rows."""
        return self.task["key"]


def read_case() -> Case:
    """Read the case that the command line names; texts are categories."""
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text())
    train, test = (pd.read_csv(folder / f"{name}.csv", low_memory=False) for name in ("train", "test"))
    label = train.pop(task["target"])
    for name in train.columns:
        if task["mode"] == "time" and name == task["key"] and train[name].dtype == object:
            train[name], test[name] = pd.to_datetime(train[name]), pd.to_datetime(test[name])
        elif train[name].dtype == object or test[name].dtype == object:
            train[name], test[name] = train[name].astype("object"), test[name].astype("object")
    return Case(folder=folder, train=train, label=label, test=test, task=task)


def run(package: str, module: str, fit: Callable[[Case], Callable[[Any], Any]]) -> None:
    """Fit, predict the test rows, and write both with their times.

    Args:
        package: Distribution whose version is recorded.
        module: Module that is imported before the time begins.
        fit: Fits a case and returns what predicts [n] or [n, classes] for a frame.
    """
    case = read_case()
    importlib.import_module(module)
    started = time.perf_counter()
    predict = fit(case)
    fit_s = time.perf_counter() - started
    predict(case.test.head(5))  # imports and caches are not part of the time
    started = time.perf_counter()
    predicted = predict(case.test)
    predict_s = time.perf_counter() - started
    pd.DataFrame(predicted).to_csv(case.folder / "predictions.csv", index=False)
    facts = {"fit_s": fit_s, "predict_s": predict_s, "version": version(package)}
    (case.folder / "run.json").write_text(json.dumps(facts))
