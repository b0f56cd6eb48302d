"""Measure recommendations on the test rows of a RelBench task, and write them as the package relbench scores them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.clock import iso
from headrace.problems.relbench.sources import read_columns
from headrace.recommendation.precision import list_metrics
from headrace.recommendation.recommender import popular_lists, recommend
from headrace.recommendation.relbench_task import LinkTask, load_link_task

#: Where RelBench's test rows have one cutoff, both protocols are one.
PROTOCOLS = ("fresh", "frozen")
#: Share of a time limit that the work may take; the start of the process and the files take the rest.
_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class LinkReport:
    """The result on the test rows.

    Attributes:
        problem: Data set and task.
        metric: `map`, of lists of `k` items.
        k: Length of a list.
        test_from: The test rows' first cutoff.
        protocols: Results by protocol, as `HoldoutReport` has them.
        constant: Metrics of the most popular items of the last period, for all users alike.
        family: The model, or the plain order that was better on the tune rows.
        train_rows, features: Of the model.
        metrics: Mean average precision on the tune rows.
        kinds: The kinds of interactions.
        seconds: Wall clock by step.
    """

    problem: str
    metric: str
    k: int
    test_from: str
    protocols: tuple[Mapping[str, Any], ...]
    constant: Mapping[str, float]
    family: str
    train_rows: int
    features: int
    metrics: Mapping[str, float]
    kinds: tuple[str, ...]
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class LinkHoldout:
    """report: for people. task: what was asked. lists: items by rank [n, k], in the order of the test rows."""

    report: LinkReport
    task: LinkTask
    lists: NDArray[np.int64]


def measure_links(
    folder: Path,
    *,
    minutes: float | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> LinkHoldout:
    """Recommend for the test rows of a task, and measure it where they have labels.

    Args:
        folder: Of the task.
        minutes: Time for everything.
        seed: Of samples and model.
        threads: Of the model.
        progress: Receives messages.
    """
    begun = time.perf_counter()
    task = load_link_task(folder)
    read_s = time.perf_counter() - begun
    progress(f"{len(task.world.kinds)} kinds of interactions, {sum(map(len, task.world.kinds)):,} in all")
    train, tune, test = (task.requests[split] for split in ("train", "val", "test"))
    k = task.manifest.k
    left = None if minutes is None else max(60 * minutes * _SHARE - read_s, 5.0)
    made = recommend(task.world, train, tune, test, k=k, seed=seed, threads=threads, seconds=left, progress=progress)
    metrics = list_metrics(made.lists, test.items) if task.labelled else {}
    popular = list_metrics(popular_lists(task.world, test, k), test.items) if task.labelled else {}
    report = LinkReport(
        problem=f"{task.dataset.name}, {task.manifest.name}",
        metric="map",
        k=k,
        test_from=iso(int(test.cutoff_us.min())),
        protocols=tuple(
            {"protocol": name, "rows": len(test.user), "labelled": len(test.user) if task.labelled else 0,
             "metrics": metrics}
            for name in PROTOCOLS
        ),
        constant=popular,
        family=made.family,
        train_rows=made.train_rows,
        features=made.features,
        metrics={f"tune_{name}": value for name, value in made.metrics.items()},
        kinds=tuple(kind.name for kind in task.world.kinds),
        seconds={"read": read_s, **made.seconds},
    )  # fmt: skip
    return LinkHoldout(report=report, task=task, lists=made.lists)


def write_links(holdout: LinkHoldout, folder: Path) -> list[Path]:
    """Write predictions.parquet, and one prediction table per protocol for `relbench.submit`.

    Returns:
        The files.
    """
    task = holdout.task.manifest
    keys = read_columns(task.folder / "test.parquet", [task.user_col, task.time_col])
    keys = keys.replace_schema_metadata(None)
    lists = [[item for item in row if item >= 0] for row in holdout.lists.tolist()]
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write(
        keys.append_column(task.item_col, pa.array(lists, pa.list_(pa.int64()))), folder / "predictions.parquet"
    )
    frame = keys.to_pandas().assign(**{task.item_col: [json.dumps(row) for row in lists]})
    written = [folder / "predictions.parquet"]
    for protocol in PROTOCOLS:
        path = folder / f"relbench-{protocol}" / f"{holdout.task.dataset.name}__{task.folder.name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False)
        written.append(path)
    return written
