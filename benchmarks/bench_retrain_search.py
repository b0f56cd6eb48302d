"""Searches of retrains: eight trials that start from the champion's study, compared with fifty from scratch.

    make bench-retrain-search [QUICK=1] [SEEDS=2] [TABLE=flights]

Each table has a first search of fifty trials, and seven retrains (nafld: four) after it. A retrain searches on the rows
known at its instant: from scratch (`auto`, fifty trials; its first eight are the peer "eight from scratch"), and from
what is known: eight trials that start from the study of the retrain before. Both evaluate the same folds with the same
seed. The search from scratch races, as the main job does; eight trials do not, as in a retrain.

The criterion, fixed before the first run: eight trials *reach* fifty where the loss of their best trial on the folds
exceeds that of the fifty by at most the standard error of the difference. That is the standard deviation of the
difference of both configurations over 1,000 resamples of the days of the validation rows. Fifty trials select the
minimum of more noise, so the same pairs are also compared on the rows until the next retrain, which nobody selected on.

Studies are journaled in .headrace/bench/retrain-search, so a run that was interrupted continues; delete the folder to
start anew. QUICK=1 runs one seed and four retrains of the flights and hotels, and publishes nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Goal, Row, publish, show
from benchmarks.retrain_cases import RETRAIN_TABLES, RetrainRows
from headrace.core.files import read_json, write_json
from headrace.evaluate.gate import differences
from headrace.evaluate.metrics import METRICS
from headrace.models.families import study_space, warm_start
from headrace.models.objective import TrialObjective, prepare
from headrace.models.recipe import RecipeResult, fit_recipe, fit_rounds
from headrace.models.space import Config
from headrace.pipeline.stages.study_plan import PORTFOLIO
from headrace.schema import Racing
from headrace.search.searchers import get_searcher
from headrace.search.study.study import StudyResult, incumbent, run_study
from headrace.search.transfer.known import KnownTrial, carry_on
from headrace.search.transfer.portfolio import portfolio
from headrace.search.transfer.searcher import TransferSearcher
from headrace.search.trial import Trial

COMMAND = "make bench-retrain-search"
QUICK = bool(os.environ.get("QUICK"))
FOLDER = Path(".headrace/bench/retrain-search")
SEEDS = 1 if QUICK else int(os.environ.get("SEEDS", "2"))
CHOSEN = ("flights", "hotel") if QUICK else tuple(RETRAIN_TABLES)
RETRAINS = 4 if QUICK else 7
LONG, SHORT = 50, 8
_FAMILIES = ("lightgbm",)
_RESAMPLES = 1_000


@dataclass(frozen=True, kw_only=True)
class Search:
    """One retrain to search for: its rows, its objective, and the folder of its journals."""

    rows: RetrainRows
    objective: TrialObjective
    folder: Path
    seed: int

    @classmethod
    def of(cls, rows: RetrainRows, folder: Path, seed: int) -> Search:
        digest = prepare(folder / "data", rows.design, rows.label, rows.folds)
        shares = (0.5,)
        objective = TrialObjective(
            folder=folder / "data", digest=digest, metric=rows.metric, seed=seed, shares=shares, threads=1
        )
        return cls(rows=rows, objective=objective, folder=folder, seed=seed)

    def from_scratch(self) -> StudyResult:
        """Fifty trials by `auto`, as the main job searches."""
        space = study_space(_FAMILIES)
        return run_study(
            space, self.objective, get_searcher("auto")(space), seed=self.seed, trials=LONG, racing=Racing(),
            journal_path=self.folder / "scratch.jsonl", warm_start=warm_start(_FAMILIES),
        )  # fmt: skip

    def from_known(self, known: Sequence[KnownTrial], champion: Config) -> StudyResult:
        """Eight trials from what is known, as a retrain searches (`pipeline.stages.study_plan`)."""
        space = study_space(_FAMILIES)
        searcher = TransferSearcher(space, known, get_searcher("auto")(space))
        return run_study(
            space, replace(self.objective, shares=()), searcher, seed=self.seed, trials=SHORT,
            journal_path=self.folder / "known.jsonl", warm_start=portfolio(space, known, champion, PORTFOLIO),
        )  # fmt: skip

    def result_of(self, config: Config) -> RecipeResult:
        """Fit a config on the folds again: its predictions, and the recipe that production would refit."""
        rows = self.rows
        return fit_rounds(
            config, rows.design, rows.label, rows.folds, metric=rows.metric, seed=self.seed, threads=1
        )  # fmt: skip

    def standard_error(self, one: RecipeResult, other: RecipeResult) -> float:
        """Compute the standard error of the difference of two configs' mean loss over the folds, from days."""
        rows, resampled = self.rows, np.zeros(_RESAMPLES)
        for number, (_, valid) in enumerate(rows.folds):
            of_fold = differences(
                METRICS[rows.metric], rows.label[valid], one.predicted[number], other.predicted[number],
                rows.cutoffs_us[valid], seed=number, resamples=_RESAMPLES,
            )[1]  # fmt: skip
            resampled += of_fold / len(rows.folds)
        return float(np.nanstd(resampled))

    def later_loss(self, result: RecipeResult) -> float:
        """Refit a recipe on the history; its loss on the rows until the next retrain."""
        rows, metric = self.rows, METRICS[self.rows.metric]
        fitted = fit_recipe(
            result.recipe, rows.design, rows.label, metric=rows.metric, rows=rows.history, seed=self.seed, threads=1
        )
        return float(-metric.sign * metric.value(rows.label[rows.later], fitted.predict(rows.design.rows(rows.later))))


def retrain_record(search: Search, known: Sequence[KnownTrial], champion: Config) -> tuple[dict[str, Any], StudyResult]:
    """One retrain: losses of the four searches on the folds and on later rows, and whether each reaches the fifty."""
    scratch, informed = search.from_scratch(), search.from_known(known, champion)
    file, studies = search.folder / "record.json", [scratch.key, informed.key]
    if file.exists() and (measured := read_json(file))["studies"] == studies:
        return measured, informed
    best = {
        "fifty": scratch.best,
        "eight": informed.best,
        "eight from scratch": incumbent(scratch.trials[:SHORT]) or scratch.trials[0],
        "champion's config": informed.trials[0],
    }
    results = {name: search.result_of(trial.config) for name, trial in best.items()}
    later = {name: search.later_loss(result) for name, result in results.items()}
    record: dict[str, Any] = {"studies": studies, "later": later, "loss": {}, "error": {}, "cpu": {}}
    for name, trial in best.items():
        record["loss"][name] = trial.loss
        record["error"][name] = search.standard_error(results[name], results["fifty"])
    record["cpu"] = {"fifty": _cpu(scratch.trials), "eight": _cpu(informed.trials)}
    record["best trial"] = {"fifty": scratch.best.number, "eight": informed.best.number}
    write_json(file, record)
    return record, informed


def _cpu(trials: Sequence[Trial]) -> float:
    return float(sum(trial.cpu_seconds or trial.seconds for trial in trials))


def play(name: str, seed: int) -> list[dict[str, Any]]:
    """The first search of a table and its retrains, each from the study of the one before."""
    table = RETRAIN_TABLES[name]()
    first = Search.of(table.at(0), FOLDER / f"{name}-0-{seed}", seed).from_scratch()
    known, champion, records = carry_on((), first.trials), first.best.config, []
    for number in range(1, min(RETRAINS, table.retrains) + 1):
        search = Search.of(table.at(number), FOLDER / f"{name}-{number}-{seed}", seed)
        record, informed = retrain_record(search, known, champion)
        known, champion = carry_on(known, informed.trials), informed.best.config
        records.append(record)
        print(name, seed, number, reached(record, "eight"), record, file=sys.stderr, flush=True)
    return records


def reached(record: Mapping[str, Any], name: str) -> bool:
    """Whether a search reaches the fifty trials: its loss exceeds theirs by at most the standard error."""
    return bool(record["loss"][name] - record["loss"]["fifty"] <= record["error"][name])


def rows_of(name: str, records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of one table, or of all."""
    command = COMMAND + " QUICK=1" * QUICK
    share = {
        peer: 100 * float(np.mean([reached(one, peer) for one in records]))
        for peer in ("eight", "eight from scratch", "champion's config")
    }
    goal = Goal(op=">=", value=90)
    rows = [
        Row(metric=f"{name}: eight trials reach fifty from scratch, {len(records)} retrains", value=share["eight"],
            unit="%", goal=goal, peer=f"{peer} reach fifty, %", peer_value=share[peer], command=command)
        for peer in ("eight from scratch", "champion's config")
    ]  # fmt: skip
    for where, words in (("loss", "on the folds"), ("later", "on later rows")):
        for peer in ("eight from scratch", "champion's config", "fifty"):
            lower = [one[where]["eight"] < one[where][peer] for one in records]
            rows.append(Row(metric=f"{name}: eight trials have a lower loss {words} than {peer}",
                            value=100 * float(np.mean(lower)), unit="% of retrains", command=command))  # fmt: skip
    cpu = {peer: float(np.mean([one["cpu"][peer] for one in records])) for peer in ("eight", "fifty")}
    rows.append(Row(metric=f"{name}: CPU time of a search", value=cpu["eight"], unit="s", peer="fifty from scratch, s",
                    peer_value=cpu["fifty"], command=command))  # fmt: skip
    return rows


NOTE = """Flights (every 40th), nafld (every third row) and hotel prices; seven retrains (nafld: four) after a first
search of fifty trials; {seeds} seed(s); LightGBM with at most 300 rounds, one thread. The tables are small because the
benchmark shares two cores with other work; more rows would give smaller standard errors. A search reaches the fifty
trials where its best loss on the folds exceeds theirs by at most the standard error of the difference (days
resampled). This was fixed before the first run. After the first look at seed 0, racing was switched off for the eight
trials; nothing else was changed. Later rows are those until the next retrain; no search selected on them."""


def main() -> None:
    only = os.environ.get("TABLE")
    records = {
        name: [record for seed in range(SEEDS) for record in play(name, seed)]
        for name in RETRAIN_TABLES
        if name == only or (only is None and name in CHOSEN)
    }
    rows = [row for name, found in records.items() for row in rows_of(name, found)]
    rows += rows_of("all", [record for found in records.values() for record in found])
    if QUICK or only:
        show("Searches of retrains, quickly: nothing is published", rows)
        return
    publish("retrain-search", "Searches of retrains", rows, NOTE.format(seeds=SEEDS))


if __name__ == "__main__":
    main()
