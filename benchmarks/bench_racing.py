"""What racing saves on live training, how often it kills a winner, and a study beside Hyperopt as users write it.

    make bench-racing [QUICK=1]

Every study runs alone in this process on one thread, and is charged the CPU that the process used. Results of single
studies are kept in .headrace/bench-racing.jsonl, so a run that was cut off goes on; delete the file to start anew.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.results import Goal, Row, publish
from benchmarks.surrogate.sources import SOURCES
from headrace.core.files import read_json
from headrace.evaluate.metrics import METRICS
from headrace.evaluate.splits import time_windows
from headrace.models.design import Design, Encoder
from headrace.models.families.lightgbm import MAX_ROUNDS, PATIENCE, LightGBM
from headrace.models.objective import Split, TrialObjective, prepare
from headrace.models.space import Config
from headrace.search.racing import Racing
from headrace.search.searchers import searcher_named
from headrace.search.space import Choice, Space
from headrace.search.study import run_study
from headrace.search.trial import Trial

COMMAND = "make bench-racing"
KEPT = Path(".headrace/bench-racing.jsonl")
QUICK = bool(os.environ.get("QUICK"))
TRIALS = 8 if QUICK else 24
SEEDS = 1 if QUICK else 2
PEER_SEEDS, PEER_CPU = (2, 15.0) if QUICK else (10, 45.0)

SPACE = Space({"family": Choice({"lightgbm": LightGBM().space()})})
DEFAULT = {"family": "lightgbm", **{f"lightgbm.{key}": value for key, value in LightGBM().default().items()}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table to learn from, and the rows that teach and judge."""

    name: str
    design: Design
    label: np.ndarray
    split: Split
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
    from headrace.pipeline.runner import open_run

    run = open_run("flights", Path(".headrace/bench-racing"))
    table = pq.read_table(run.folder("training-set") / "training.parquet")
    spine = pq.read_table(run.folder("synthesise") / "spine.parquet")
    until = read_json(run.folder("ingest") / "stage.json")["facts"]["until_us"]
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


class _Enough(Exception):
    """The study has what was asked of it."""


def studied(
    case: str, seed: int, *, how: str, trials: int, until: float | None = None, cpu: float | None = None
) -> dict[str, Any]:
    """One study. how: "raced", "shared" (bins shared, no racing) or "plain" (as users write it).

    until: it may end at this loss. cpu: it ends when so many CPU seconds are spent; a trial that ends later is not
    counted. curve: (CPU s, loss) at each new incumbent.
    """
    told: list[tuple[float, Trial]] = []
    with tempfile.TemporaryDirectory() as folder:
        objective = _objective(case, Path(folder), how)
        started, wall = time.process_time(), time.perf_counter()

        def tell(trial: Trial) -> None:
            told.append((time.process_time() - started, trial))
            reached = until is not None and trial.status == "ok" and (trial.loss or 0.0) <= until
            if reached or (cpu is not None and told[-1][0] > cpu):
                raise _Enough

        with suppress(_Enough):
            run_study(
                SPACE, objective, searcher_named("tpe")(SPACE), seed=seed, trials=trials,
                journal_path=Path(folder) / "journal", racing=Racing() if how == "raced" else None,
                warm_start=[DEFAULT], on_trial=tell,
            )  # fmt: skip
        wall = time.perf_counter() - wall
    counted = [(at, trial) for at, trial in told if cpu is None or at <= cpu]
    curve: list[tuple[float, float]] = []
    for at, trial in counted:
        if trial.status == "ok" and trial.loss is not None and (not curve or trial.loss < curve[-1][1]):
            curve.append((at, trial.loss))
    return {
        "curve": curve,
        "cpu": counted[-1][0] if counted else 0.0,
        "trials": len(counted),
        "stopped": sum(trial.status == "stopped" for _, trial in counted),
        "overhead": (wall - sum(trial.seconds for _, trial in told)) / len(told),
    }


def _objective(name: str, folder: Path, how: str) -> Any:
    case = case_named(name)
    if how == "plain":
        return AsUsersWriteIt(name)
    digest = prepare(folder, case.design, case.label, [case.split])
    shares = (0.25,) if how == "raced" else ()
    return TrialObjective(folder=folder, digest=digest, metric=case.metric, seed=0, row_cap=10**9, shares=shares)


def hyperopt_alone(case: str, seed: int, cpu: float) -> dict[str, Any]:
    """Hyperopt and LightGBM as a user writes them, until so many CPU seconds are spent."""
    from hyperopt import STATUS_OK, fmin, hp, tpe
    from hyperopt.pyll import scope

    space = {
        "learning_rate": hp.loguniform("learning_rate", np.log(0.04), np.log(0.2)),
        "num_leaves": scope.int(hp.qloguniform("num_leaves", np.log(15), np.log(127), 1)),
        "min_data_in_leaf": scope.int(hp.qloguniform("min_data_in_leaf", np.log(10), np.log(300), 1)),
        "feature_fraction": hp.uniform("feature_fraction", 0.3, 1.0),
        "bagging_fraction": hp.uniform("bagging_fraction", 0.5, 1.0),
        "lambda_l2": hp.loguniform("lambda_l2", np.log(1e-3), np.log(30.0)),
        "max_bin": hp.choice("max_bin", [63, 127]),
    }
    data = case_named(case)
    started, told = time.process_time(), []

    def objective(config: Mapping[str, Any]) -> dict[str, Any]:
        loss = plain_loss(data, config)
        told.append((time.process_time() - started, loss))
        return {"loss": loss, "status": STATUS_OK}

    fmin(
        objective, space, algo=tpe.suggest, max_evals=10_000, rstate=np.random.default_rng(seed),
        early_stop_fn=lambda trials, *args: (time.process_time() - started > cpu, []), show_progressbar=False,
        verbose=False,
    )  # fmt: skip
    counted = [loss for at, loss in told if at <= cpu]
    return {"best": min(counted, default=float("inf")), "trials": len(counted)}


def workers_speedup() -> float:
    """Wall clock of the same random trials with one worker over that with two, start of the processes included."""
    spent = []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            objective = _objective("pipeline", Path(folder), "shared")
            started = time.perf_counter()
            run_study(
                SPACE, objective, searcher_named("random")(SPACE), seed=5, trials=4 if QUICK else 16, workers=workers,
                isolated=True, journal_path=Path(folder) / "journal",
            )  # fmt: skip
            spent.append(time.perf_counter() - started)
    return spent[0] / spent[1]


def kept(key: str, make: Callable[[], Any]) -> Any:
    """What was measured before under this key, else `make` and keep it."""
    KEPT.parent.mkdir(exist_ok=True)
    known = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    for record in known:
        if record["key"] == key:
            return record["value"]
    value = make()
    with KEPT.open("a") as file:
        file.write(json.dumps({"key": key, "value": value}) + "\n")
    return value


def races(case: str) -> list[dict[str, float]]:
    """For each seed: CPU s of a plain study of TRIALS to its best loss, and of the two others to that loss."""
    found = []
    for seed in range(SEEDS):
        plain = kept(f"{case} {seed} plain {TRIALS}", lambda s=seed: studied(case, s, how="plain", trials=TRIALS))
        target = plain["curve"][-1][1]
        cost = {"plain": plain["cpu"]}
        for how in ("shared", "raced"):
            other = kept(
                f"{case} {seed} {how} {TRIALS}",
                lambda s=seed, h=how, t=target: studied(case, s, how=h, trials=3 * TRIALS, until=t),
            )
            cost[how] = other["cpu"]
            cost[f"{how} reached"] = float(other["curve"][-1][1] <= target)
            cost[f"{how} overhead"] = other["overhead"]
        found.append(cost)
    return found


def duel(seed: int) -> dict[str, float]:
    """Loss on the tune window at the same CPU budget, ours and Hyperopt's."""
    ours = kept(
        f"duel {seed} ours {PEER_CPU}",
        lambda: studied("pipeline", seed, how="raced", trials=10_000, cpu=PEER_CPU),
    )
    peer = kept(f"duel {seed} peer {PEER_CPU}", lambda: hyperopt_alone("pipeline", seed, PEER_CPU))
    return {"ours": ours["curve"][-1][1], "peer": peer["best"], "trials": ours["trials"], "peer trials": peer["trials"]}


def main(cases: Sequence[str] = ("pipeline", "flights", "diamonds")) -> None:
    command = f"{COMMAND} QUICK=1" if QUICK else COMMAND
    rows, overheads = [], []
    for case in cases:
        runs = races(case)
        total = {how: sum(run[how] for run in runs) for how in ("plain", "shared", "raced")}
        reached = sum(run["raced reached"] for run in runs)
        overheads += [run["raced overhead"] for run in runs]
        rows.append(
            Row(metric=f"{case}: CPU to the best loss of {TRIALS} plain trials, raced ({reached:.0f} of {len(runs)} got"
                " there)", value=total["raced"], unit="s", peer="trained in full, binned each time",
                peer_value=total["plain"], command=command)
        )  # fmt: skip
        rows.append(
            Row(metric=f"{case}: plain over raced", value=total["plain"] / total["raced"], unit="x",
                goal=Goal(op=">=", value=5), peer="plain over shared bins without racing",
                peer_value=total["plain"] / total["shared"], command=command)
        )  # fmt: skip
    duels = [duel(seed) for seed in range(PEER_SEEDS)]
    wins = sum(one["ours"] < one["peer"] for one in duels)
    rows += [
        Row(metric=f"flights in the pipeline, {PEER_CPU:g} CPU s: seeds with the lower loss", value=wins,
            unit=f"of {len(duels)}", goal=Goal(op=">=", value=0.9 * len(duels)), command=command),
        Row(metric="the same: AUC on the tune window, mean", value=-float(np.mean([one["ours"] for one in duels])),
            unit="", peer="Hyperopt and LightGBM by hand", peer_value=-float(np.mean([one["peer"] for one in duels])),
            command=command),
        Row(metric="the same: trials in that time, mean", value=float(np.mean([one["trials"] for one in duels])),
            unit="", peer="Hyperopt and LightGBM by hand",
            peer_value=float(np.mean([one["peer trials"] for one in duels])), command=command),
        Row(metric="two workers against one", value=kept(f"workers {QUICK}", workers_speedup), unit="x",
            goal=Goal(op=">=", value=1.8), command=command),
        Row(metric="a trial's overhead: searcher, bounds, journal", value=1000 * float(np.median(overheads)), unit="ms",
            command=command),
    ]  # fmt: skip
    note = (
        "One thread, CPU seconds of the whole process. Plain: every trial bins all rows and trains them with early"
        " stopping, as users write it. The study starts from the family's default configuration, Hyperopt from nothing."
    )
    publish("racing", "Racing", rows, note)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a part of it, to fill the file of single studies
        part, seeds = sys.argv[1], range(*map(int, sys.argv[2:4])) if len(sys.argv) > 3 else range(PEER_SEEDS)
        _ = [duel(seed) for seed in seeds] if part == "duel" else races(part)
    else:
        main()
