"""Champions on small tables: by the rule of one tune window, and by that of folds, beside LightGBM as it comes.

    make bench-small [QUICK=1] [SEEDS=3] [TABLE=races]

A table is cut at some instant, another one for each seed. The rows before it are history, with windows as the pipeline
has them; the rows after it, which nobody sees, judge. Both rules search with the same searcher, seeds and trials, and
refit on all history. Cases that are done lie in .headrace/bench/small.jsonl, so a run that was cut off goes on; delete
the file to start anew. QUICK=1 plays five tables with one seed, prints, and publishes nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.results import Goal, Row, publish, show
from benchmarks.small_tables import TABLES, SmallTable
from headrace.evaluate.choice import Choice, FoldPredictions, choose
from headrace.evaluate.metrics import METRICS
from headrace.evaluate.splits import Fold, known_before_rows, time_folds, time_windows
from headrace.models.design import Design, Encoder
from headrace.models.families import FAMILIES, split_config, study_space, warm_start
from headrace.models.objective import TrialObjective, prepare
from headrace.models.recipe import Recipe, RecipeResult, fit_recipe, fit_rounds
from headrace.models.space import Config
from headrace.schema import Racing
from headrace.search.searchers import get_searcher
from headrace.search.study.study import incumbent, run_study
from headrace.search.trial import Trial

COMMAND = "make bench-small"
QUICK = bool(os.environ.get("QUICK"))
KEPT = Path(".headrace/bench/small.jsonl")
SEEDS = 1 if QUICK else int(os.environ.get("SEEDS", "3"))
TRIALS = 6 if QUICK else 12
CHOSEN = ("houses", "races", "homes", "friedman", "weak") if QUICK else tuple(table.name for table in TABLES)
#: Where history ends, by seed, as a share of the rows; so many of the rows after it judge.
ENDS, JUDGING = (0.8, 0.6, 0.7, 0.5), 0.2
#: Rounds without a better loss after which the old rule stopped.
_OLD_PATIENCE = 20
PEER = {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20, "seed": 0, "num_threads": 1, "verbosity": -1}
#: What is compared, in the order of the report.
OLD, NEW, FOUND, DEFAULT = "old rule", "new rule", "new rule without the choice", "headrace's default"
#: What was tried: rounds times (rows of the refit / rows of the folds) to a power.
GROWN = {"rounds times the root of rows": 0.5, "rounds times rows": 1.0}
PEERS = {"LightGBM, 100 trees": 100, "LightGBM, 300 trees": 300}

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table cut at an instant. folds: of the rows before the gate window; history: all that may teach; later: those
    that judge.
    """

    table: SmallTable
    seed: int
    design: Design
    label: Floats
    cutoffs: NDArray[np.int64]
    folds: tuple[Fold, ...]
    history: NDArray[np.int64]
    later: NDArray[np.int64]

    def loss(self, predicted: Floats) -> float:
        """On the later rows, lower is better: the metric, or 1 less it where greater is better."""
        metric = METRICS[self.table.metric]
        value = metric.value(self.label[self.later], predicted)
        return 1 - value if metric.greater_is_better else value


def case_of(table: SmallTable, seed: int) -> Case:
    rows = table.read()
    end = int(ENDS[seed % len(ENDS)] * len(rows.label))
    now = int(rows.cutoffs_us[end])
    history = known_before_rows(rows.cutoffs_us, rows.known_us, now)
    later = np.flatnonzero(rows.cutoffs_us >= now)[: int(JUDGING * len(rows.label))]
    cutoffs, known, label = rows.cutoffs_us[history], rows.known_us[history], rows.label[history]
    windows = time_windows(cutoffs, known, now)
    classes = label if METRICS[table.metric].binary else None
    folds = time_folds(cutoffs, known, windows, labels=classes)
    encoder = Encoder.fit(rows.matrix.take(pa.array(history)))
    return Case(
        table=table, seed=seed, design=encoder.encode(rows.matrix), label=rows.label, cutoffs=rows.cutoffs_us,
        folds=tuple((history[taught], history[judged]) for taught, judged in folds), history=history, later=later,
    )  # fmt: skip


@dataclass(frozen=True)
class OneWindow:
    """The old rule: learn on train, stop where the loss on the tune window has not fallen for 20 rounds."""

    case: Case

    def __call__(self, config: Config) -> Mapping[str, Any]:
        family, own = split_config(config)
        case, (taught, judged) = self.case, self.case.folds[-1]
        learner = family.learner(
            case.design.rows(taught), case.label[taught], (case.design.rows(judged), case.label[judged]), own,
            metric=METRICS[case.table.metric], seed=case.seed,
        )  # fmt: skip
        losses: list[float] = []
        while (loss := learner.step()) is not None:
            losses.append(loss)
            if len(losses) - (int(np.argmin(losses)) + 1) >= _OLD_PATIENCE:
                break
        return {"loss": min(losses), "rounds": int(np.argmin(losses)) + 1}


def _studied(
    case: Case, objective: Any, racing: Racing | None, folder: Path, first: Sequence[Config]
) -> tuple[Trial, Trial | None]:
    """(the best trial, the best of those that it began with)."""
    space = study_space()
    result = run_study(
        space, objective, get_searcher("auto")(space), seed=case.seed, trials=TRIALS, racing=racing,
        journal_path=folder / f"{type(objective).__name__}.jsonl", warm_start=first,
    )  # fmt: skip
    return result.best, incumbent(result.trials[: len(first)])


def old_rule(case: Case, folder: Path) -> Recipe:
    best, _ = _studied(case, OneWindow(case), None, folder, warm_start()[: len(FAMILIES)])
    family, own = split_config(best.config)
    rounds = None if family.rounds_at(own, 1.0) is None else int(best.info["rounds"])
    return Recipe(family=family.name, config=own, rounds=rounds, rows=len(case.history))


def new_rule(case: Case, folder: Path) -> tuple[RecipeResult, RecipeResult, Choice | None]:
    """(what was found, the best default, how they compare; None where they are the same)."""
    digest = prepare(folder / "data", case.design, case.label, case.folds)
    objective = TrialObjective(
        folder=folder / "data", digest=digest, metric=case.table.metric, seed=case.seed, shares=(0.5,)
    )
    best, fallback = _studied(case, objective, Racing(), folder, warm_start())
    options: dict[str, Any] = {"metric": case.table.metric, "seed": case.seed, "threads": 1}
    found = fit_rounds(best.config, case.design, case.label, case.folds, **options)
    if fallback is None or fallback.number == best.number:
        return found, found, None
    default = fit_rounds(fallback.config, case.design, case.label, case.folds, **options)
    judged = [
        FoldPredictions(label=case.label[rows], candidate=one, fallback=two, cutoffs_us=case.cutoffs[rows])
        for (_, rows), one, two in zip(case.folds, found.predicted, default.predicted, strict=True)
    ]
    return found, default, choose(METRICS[case.table.metric], judged, seed=case.seed)


def peer(case: Case, trees: int) -> Floats:
    """LightGBM's own defaults, with the objective of the metric."""
    import lightgbm

    metric = METRICS[case.table.metric]
    objective = "binary" if metric.binary else "regression_l1" if metric.name == "mae" else "regression"
    part = case.design.rows(case.history)
    data = lightgbm.Dataset(part.X, label=case.label[case.history], categorical_feature=list(part.categorical))
    booster = lightgbm.train({**PEER, "objective": objective}, data, num_boost_round=trees)
    return np.asarray(booster.predict(case.design.rows(case.later).X), dtype=np.float64)


def played(table: SmallTable, seed: int) -> dict[str, Any]:
    """Losses on the later rows by name, and the rounds of both champions."""
    case = case_of(table, seed)
    options: dict[str, Any] = {"metric": table.metric, "rows": case.history, "seed": seed, "threads": 1}
    later = case.design.rows(case.later)

    def judged(recipe: Recipe) -> float:
        return case.loss(fit_recipe(recipe, case.design, case.label, **options).predict(later))

    with tempfile.TemporaryDirectory() as folder:
        old = old_rule(case, Path(folder))
        found, default, choice = new_rule(case, Path(folder))
    chosen = choice is None or choice.candidate_better
    champion = (found if chosen else default).recipe
    losses = {OLD: judged(old), FOUND: judged(found.recipe), DEFAULT: judged(default.recipe)}
    losses[NEW] = losses[FOUND] if chosen else losses[DEFAULT]
    losses |= {name: case.loss(peer(case, trees)) for name, trees in PEERS.items()}
    for name, power in GROWN.items():
        grown = round((champion.rounds or 0) * (len(case.history) / champion.rows) ** power)
        fixed = replace(champion, rounds=grown, rows=len(case.history))
        losses[name] = judged(fixed) if champion.rounds is not None else losses[NEW]
    return {
        "losses": losses, "choice": choice.to_json() if choice else None, "rows": len(case.history),
        "folds": len(case.folds), "old": [old.family, old.rounds],
        "new": [champion.family, champion.rounds, champion.config.get("learning_rate")],
    }  # fmt: skip


def kept(key: str, make: Callable[[], Any]) -> Any:
    """What was measured before under this key, else `make` and keep it."""
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    for line in KEPT.read_text().splitlines() if KEPT.exists() else []:
        record = json.loads(line)
        if record["key"] == key:
            return record["value"]
    value = make()
    with KEPT.open("a") as file:
        file.write(json.dumps({"key": key, "value": value}) + "\n")
    return value


def all_cases() -> list[tuple[SmallTable, dict[str, Any]]]:
    only = os.environ.get("TABLE")
    found = []
    for seed in range(SEEDS):
        for table in TABLES:
            if table.name == only or (only is None and table.name in CHOSEN):
                key = f"{table.name} {seed} {TRIALS} trials"
                case = kept(key, lambda table=table, seed=seed: played(table, seed))
                print(table.name, seed, case, file=sys.stderr, flush=True)
                found.append((table, case))
    return found


def main() -> None:
    cases = all_cases()
    rows = rows_of(cases)
    if QUICK or os.environ.get("TABLE"):
        show("Champions of small tables, quickly: nothing is published", rows)
        return
    publish("small", "Champions of small tables", rows, NOTE.format(tables=len(TABLES), seeds=SEEDS, trials=TRIALS))


NOTE = """{tables} tables of 500 to 3,000 rows of history, {seeds} cuts in time each (another seed of the search with
each), {trials} trials. Champions are evaluated on the rows after the history, a fifth of the table, which no rule
uses. Loss is the metric, or 1 minus the metric if greater is better (AUC). Ratios are geometric means over cases; 90
% intervals resample tables, not cases, because the cuts of one table are similar. Old rule: the number of rounds by
early stopping on one tune window, and the best trial is champion. LightGBM has default settings (learning rate 0.1,
31 leaves) and the objective of the metric, and is fitted on all history."""


def rows_of(cases: Sequence[tuple[SmallTable, Mapping[str, Any]]]) -> list[Row]:
    command = COMMAND + " QUICK=1" * QUICK
    names = np.array([table.name for table, _ in cases])
    losses = {name: np.array([case["losses"][name] for _, case in cases]) for name in (*cases[0][1]["losses"],)}
    rows = []
    for other in (*PEERS, DEFAULT):
        for rule in (OLD, NEW):
            share = _stated(names, losses[other] < losses[rule], np.mean)
            rows.append(Row(metric=f"{other} beats the champion, {rule}{share[1]}", value=share[0], unit="of cases",
                            command=command))  # fmt: skip
    for one, other in (
        (NEW, OLD),
        (NEW, FOUND),
        *((NEW, grown) for grown in GROWN),
        *((rule, peer) for peer in (*PEERS, DEFAULT) for rule in (OLD, NEW)),
    ):
        ratio = _stated(names, np.log(losses[one] / losses[other]), lambda logs: np.exp(np.mean(logs)))
        goal = Goal(op="<=", value=1) if one == NEW else None
        rows.append(Row(metric=f"loss of {one} / of {other}{ratio[1]}", value=ratio[0], unit="x", goal=goal,
                        command=command))  # fmt: skip
    for rule, key in ((OLD, "old"), (NEW, "new")):
        few = [case[key][1] is not None and case[key][1] < 30 for _, case in cases]
        rows.append(Row(metric=f"champions of fewer than 30 rounds, {rule}", value=float(np.mean(few)), unit="of cases",
                        command=command))  # fmt: skip
    return rows


def _stated(names: NDArray[Any], values: Floats, figure: Callable[[Floats], Any]) -> tuple[float, str]:
    """(the figure over all cases, its 90 % interval as text): tables are drawn anew."""
    rng, tables = np.random.default_rng(0), np.unique(names)
    of = {name: values[names == name] for name in tables}
    drawn = [
        float(figure(np.concatenate([of[name] for name in rng.choice(tables, len(tables))]))) for _ in range(2_000)
    ]
    low, high = np.quantile(drawn, [0.05, 0.95])
    return float(figure(values)), f" ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
