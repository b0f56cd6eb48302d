"""What racing saves on live training, how often it kills a winner, and a study beside Hyperopt as users write it.

    make bench-racing [QUICK=1] [SO_FAR=1]

Every study runs alone in this process on one thread, and is charged the CPU that the process used. Results of single
studies are kept in .headrace/bench-racing.jsonl, so a run that was cut off goes on, and a piece of it can be run alone
(`python -m benchmarks.bench_racing race diamonds 0 1`, `... duel 3 5`, `... workers`); delete the file to start anew.
SO_FAR=1 publishes what is there and measures nothing, QUICK=1 only prints.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.racing_cases import AsUsersWriteIt, case_named, plain_loss
from benchmarks.results import Goal, Row, publish, show
from headrace.models.families.lightgbm import LightGBM
from headrace.models.objective import TrialObjective, prepare
from headrace.schema import Racing
from headrace.search.searchers import get_searcher
from headrace.search.space import Choice, Space
from headrace.search.study.study import run_study
from headrace.search.trial import Trial

COMMAND = "make bench-racing"
KEPT = Path(".headrace/bench-racing.jsonl")
QUICK = bool(os.environ.get("QUICK"))
#: Of random search, whose best loss is to be reached: as many as bench-search gives it.
TRIALS = 12 if QUICK else 100
SEEDS = 1 if QUICK else 2
CASES = ("diamonds",) if QUICK else ("pipeline", "flights", "diamonds")
PEER_SEEDS, PEER_CPU = (2, 15.0) if QUICK else (10, 45.0)
#: Of the study that one and two workers do.
SHARED_TRIALS = 4 if QUICK else 32
SO_FAR = bool(os.environ.get("SO_FAR"))

#: From what a user would write by hand to what Headrace does; each differs from the one before it in one thing.
WAYS = {
    "random": "random by hand",
    "plain": "auto by hand, from the default configuration",
    "shared": "the same, bins shared",
    "raced": "the same, raced",
}

SPACE = Space({"family": Choice({"lightgbm": LightGBM().space()})})
DEFAULT = {"family": "lightgbm", **{f"lightgbm.{key}": value for key, value in LightGBM().default().items()}}


class _Enough(Exception):
    """The study has what was asked of it."""


class _NotMeasured(Exception):
    """What is not there, where nothing is to be measured."""


def studied(
    case: str, seed: int, *, how: str, trials: int, until: float | None = None, cpu: float | None = None
) -> dict[str, Any]:
    """One study. how: "raced", "shared" (bins shared, no racing), "plain" (as users write it, our searcher) or "random"
    (as users write it, at random, from no known configuration).

    until: it may end at this loss. cpu: it ends when so many CPU seconds are spent; a trial that ends later is not
    counted. curve: (CPU s, loss) at each new incumbent.
    """
    told: list[tuple[float, Trial]] = []
    with tempfile.TemporaryDirectory() as folder:
        objective = objective_of(case, Path(folder), how)
        started, wall = time.process_time(), time.perf_counter()

        def tell(trial: Trial) -> None:
            told.append((time.process_time() - started, trial))
            reached = until is not None and trial.status == "ok" and (trial.loss or 0.0) <= until
            if reached or (cpu is not None and told[-1][0] > cpu):
                raise _Enough

        with suppress(_Enough):
            run_study(
                SPACE, objective, get_searcher("random" if how == "random" else "auto")(SPACE), seed=seed,
                trials=trials, journal_path=Path(folder) / "journal", racing=Racing() if how == "raced" else None,
                warm_start=[] if how == "random" else [DEFAULT], on_trial=tell,
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


def objective_of(name: str, folder: Path, how: str) -> Any:
    case = case_named(name)
    if how in ("plain", "random"):
        return AsUsersWriteIt(name)
    digest = prepare(folder, case.design, case.label, [case.split])
    shares = (0.5,) if how == "raced" else ()
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
    """Wall clock of the same random trials with one worker over that with two, start of the processes included.

    The middle one of three: a run differs from the next by some hundredths.
    """
    return float(np.median([_speedup() for _ in range(1 if QUICK else 3)]))


def _speedup() -> float:
    spent = []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            objective = objective_of("diamonds", Path(folder), "shared")
            started = time.perf_counter()
            run_study(
                SPACE, objective, get_searcher("random")(SPACE), seed=5, trials=SHARED_TRIALS, workers=workers,
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
    if SO_FAR:
        raise _NotMeasured(key)
    value = make()
    print(key, json.dumps(value), flush=True)
    with KEPT.open("a") as file:
        file.write(json.dumps({"key": key, "value": value}) + "\n")
    return value


def race(case: str, seed: int) -> dict[str, float]:
    """CPU s until the best loss of TRIALS random trials is there, by each way; what never got there is charged all that
    it spent, so its true cost is more.

    Random search is charged TRIALS trials: so many does one take, by median, to the best loss of another. Up to the
    best trial of the very study that set the loss ("lucky") it is about half, but that is known only after it.
    """
    reference = kept(f"{case} {seed} random {TRIALS}", lambda: studied(case, seed, how="random", trials=TRIALS))
    spent, target = reference["curve"][-1]
    found = {"random": reference["cpu"], "random reached": 1.0, "lucky": spent}
    for how in list(WAYS)[1:]:
        other = kept(
            f"{case} {seed} {how} to {target}", partial(studied, case, seed, how=how, trials=TRIALS, until=target)
        )
        found |= {how: other["cpu"], f"{how} reached": float(other["curve"][-1][1] <= target)}
        found["overhead"] = other["overhead"]
    return found


def duel(seed: int) -> dict[str, float]:
    """Loss on the tune window at the same CPU budget, ours and Hyperopt's."""
    ours = kept(
        f"duel {seed} ours {PEER_CPU}",
        lambda: studied("pipeline", seed, how="raced", trials=10_000, cpu=PEER_CPU),
    )
    peer = kept(f"duel {seed} peer {PEER_CPU}", lambda: hyperopt_alone("pipeline", seed, PEER_CPU))
    return {"ours": ours["curve"][-1][1], "peer": peer["best"], "trials": ours["trials"], "peer trials": peer["trials"]}


def race_rows(case: str, runs: Sequence[Mapping[str, float]], command: str) -> list[Row]:
    total = {how: sum(run[how] for run in runs) for how in (*WAYS, "lucky")}
    rows = []
    for how, told in WAYS.items():
        reached = f"{sum(run[f'{how} reached'] for run in runs):.0f} of {len(runs)} got there"
        metric = f"{case}: CPU to the loss of {TRIALS} random trials, {told} ({reached})"
        rows.append(Row(metric=metric, value=total[how], unit="s", command=command))
    return [
        *rows,
        Row(metric=f"{case}: random by hand, over raced", unit="x", value=total["random"] / total["raced"],
            goal=Goal(op=">=", value=5), command=command),
        Row(metric=f"{case}: the same random trials up to their best one only, over raced", unit="x",
            value=total["lucky"] / total["raced"], command=command),
        Row(metric=f"{case}: {WAYS['plain']}, over raced", value=total["plain"] / total["raced"], unit="x",
            command=command),
        Row(metric=f"{case}: {WAYS['shared']}, over raced", value=total["shared"] / total["raced"], unit="x",
            command=command),
    ]  # fmt: skip


def duel_rows(duels: Sequence[Mapping[str, float]], command: str) -> list[Row]:
    mean = {name: float(np.mean([one[name] for one in duels])) for name in duels[0]}
    wins = sum(one["ours"] < one["peer"] for one in duels)
    peer = "Hyperopt and LightGBM by hand"
    return [
        Row(metric=f"flights in the pipeline, {PEER_CPU:g} CPU s: seeds with the lower loss", value=wins,
            unit=f"of {len(duels)}", goal=Goal(op=">=", value=0.9 * len(duels)), command=command),
        Row(metric="the same: AUC on the tune window, mean", value=-mean["ours"], unit="", peer=peer,
            peer_value=-mean["peer"], command=command),
        Row(metric="the same: trials in that time, mean", value=mean["trials"], unit="", peer=peer,
            peer_value=mean["peer trials"], command=command),
    ]  # fmt: skip


def there(make: Callable[[int], Any], seeds: int) -> list[Any]:
    """What `make` gives for each seed; with SO_FAR, for those that were measured."""
    found = []
    for seed in range(seeds):
        with suppress(_NotMeasured):
            found.append(make(seed))
    return found


def main() -> None:
    command = COMMAND + " QUICK=1" * QUICK + " SO_FAR=1" * SO_FAR
    rows, overheads = [], []
    for case in CASES:
        runs = there(partial(race, case), SEEDS)
        rows += race_rows(case, runs, command) if runs else []
        overheads += [run["overhead"] for run in runs]
    duels = there(duel, PEER_SEEDS)
    rows += duel_rows(duels, command) if duels else []
    for speedup in there(lambda seed: kept(f"workers {SHARED_TRIALS}", workers_speedup), 1):
        rows.append(
            Row(metric=f"two workers against one, {SHARED_TRIALS} trials", value=speedup, unit="x",
                goal=Goal(op=">=", value=1.8), command=command)
        )  # fmt: skip
    if overheads:
        overhead = 1000 * float(np.median(overheads))
        rows.append(
            Row(metric="a trial's overhead: searcher, bounds, journal", value=overhead, unit="ms", command=command)
        )
    note = (
        "One thread, CPU seconds of the whole process. By hand: every trial bins all rows and trains with"
        " early stopping, as users write it. The study starts from the family's default configuration,"
        f" Hyperopt from no configuration. Random search is charged its {TRIALS} trials, the median number that"
        " it needs to reach the best loss of another random search; the cost up to its own best trial is shown"
        " as well."
    )
    if QUICK:
        show("Racing, quickly: nothing is published", rows)
    else:
        publish("racing", "Racing", rows, note)


def piece(part: str, *numbers: str) -> None:
    """A part of it, to fill the file of single studies: `race CASE FROM TO`, `duel FROM TO`, `workers`."""
    if part == "workers":
        kept(f"workers {SHARED_TRIALS}", workers_speedup)
    elif part == "duel":
        for seed in range(*map(int, numbers)):
            duel(seed)
    else:
        for seed in range(*map(int, numbers[1:])):
            print({name: round(value, 2) for name, value in race(numbers[0], seed).items()}, flush=True)


if __name__ == "__main__":
    piece(*sys.argv[1:]) if sys.argv[1:] else main()
