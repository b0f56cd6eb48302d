"""What bench_racing trains on, and how a user trains it by hand: no bins shared, nobody looking at the curve."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.surrogate.sources import SOURCES
from headrace.app.context import context_of
from headrace.evaluate.metrics import METRICS
from headrace.evaluate.splits import Fold, time_windows
from headrace.models.design import Design, Encoder
from headrace.models.families.lightgbm import MAX_ROUNDS
from headrace.models.rounds import PATIENCE
from headrace.models.space import Config
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.walker import PipelineRun


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table to learn from, and the rows that teach and judge."""

    name: str
    design: Design
    label: np.ndarray
    split: Fold
    metric: str


@cache
def case_named(name: str) -> Case:
    if name == "pipeline":
        return _pipeline()
    source = SOURCES[name]
    frame = source.read().dropna(subset=[source.label])
    frame = frame.drop(columns=list(source.drop)).sample(frac=1.0, random_state=0).head(125_000)
    table = pa.Table.from_pandas(
        frame.drop(columns=[source.label]).apply(lambda column: column.astype(str) if column.dtype.kind not in "biuf"
                                                 else column), preserve_index=False
    )  # fmt: skip
    label = frame[source.label].to_numpy(dtype=np.float64)
    encoder, rows, cut = Encoder.fit(table), np.arange(len(label)), int(0.8 * len(label))
    metric = "auc" if source.binary else "rmse"
    return Case(name=name, design=encoder.encode(table), label=label, split=(rows[:cut], rows[cut:]), metric=metric)


def _pipeline() -> Case:
    """The flights' training set as `make run-pipeline` makes it, with its train and tune windows."""

    run = PipelineRun(context_of("flights", Path(".headrace/bench-racing")))
    table = pq.read_table(run.folder(TRAINING_SET) / "training.parquet")
    spine = pq.read_table(run.folder(SYNTHESISE) / "spine.parquet")
    until = run.output(INGEST).until_us
    windows = time_windows(spine["cutoff"].to_numpy(), spine["label_known"].to_numpy(), until)
    matrix = table.drop_columns(["label"])
    return Case(
        name="pipeline", design=Encoder.fit(matrix).encode(matrix), label=table["label"].to_numpy(),
        split=(windows.train, windows.tune), metric="auc",
    )  # fmt: skip


@dataclass(frozen=True)
class AsUsersWriteIt:
    """Each trial makes its own Dataset of all rows, and trains it with early stopping; nobody looks at its curve."""

    case: str

    def fingerprint(self) -> str:
        return f"plain {self.case}"

    def __call__(self, config: Config) -> Mapping[str, Any]:
        case = case_named(self.case)
        return {"loss": plain_loss(case, {key.removeprefix("lightgbm."): value for key, value in config.items()})}


def plain_loss(case: Case, config: Mapping[str, Any]) -> float:
    import lightgbm

    metric = METRICS[case.metric]
    train, tune = case.split
    parameters = {
        **{name: value for name, value in config.items() if name != "family"},
        "objective": "binary" if metric.binary else "regression", "metric": case.metric, "bagging_freq": 1,
        "force_row_wise": True, "deterministic": True, "num_threads": 1, "verbosity": -1, "seed": 0,
    }  # fmt: skip
    columns = list(case.design.categorical)
    data = lightgbm.Dataset(case.design.X[train], label=case.label[train], categorical_feature=columns)
    check = lightgbm.Dataset(case.design.X[tune], label=case.label[tune], reference=data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        booster = lightgbm.train(
            parameters,
            data,
            MAX_ROUNDS,
            valid_sets=[check],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
    value = booster.best_score["valid_0"][case.metric]
    return float(-metric.sign * value)
