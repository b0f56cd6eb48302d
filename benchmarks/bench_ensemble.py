"""An ensemble of families beside search alone, on the month of flights after training, at an equal budget.

    make bench-ensemble [SECONDS_EACH=300] [QUICK=1]

Both learn January to April with the same 120 selected features, folds and seed, and predict May. Search alone has the
default families; the ensemble has LightGBM, XGBoost and CatBoost, and evaluates its members within the same time: its
search ends at two thirds of it. Then the time of one row is measured, from features to probability, in one process.
Journals in .headrace/bench/ensemble let an interrupted run continue. QUICK=1 reads every tenth flight, 40 s each.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.results import Goal, Row, publish, show
from benchmarks.study_flights import STARTS, feature_sets, the_year
from headrace.evaluate.metrics import METRICS
from headrace.evaluate.splits import time_folds, time_windows
from headrace.models.design import Encoder
from headrace.models.families import DEFAULT_FAMILIES, get_family, study_space, warm_start
from headrace.models.objective import TrialObjective, prepare
from headrace.models.recipe import RecipeResult, fit_recipe, fit_rounds
from headrace.models.row_cost import family_us
from headrace.models.space import Config
from headrace.pipeline.stages.ensemble import Candidate, select_ensemble
from headrace.pipeline.stages.training_rows import TrainingRows
from headrace.problems.flights import problem
from headrace.schema import Ensemble, Racing
from headrace.search.searchers import get_searcher
from headrace.search.study.study import run_study
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.matrix.matrix import feature_matrix

COMMAND = "make bench-ensemble"
QUICK = bool(os.environ.get("QUICK"))
SECONDS = 40.0 if QUICK else float(os.environ.get("SECONDS_EACH", "300"))
FOLDER = Path(".headrace/bench/ensemble")
FAMILIES = ("lightgbm", "xgboost", "catboost")
SEARCH_SHARE = 2 / 3
_SLOWDOWN, _MEASURED, _ROUNDS = 3.0, 300, 200


@dataclass(frozen=True, kw_only=True)
class May:
    """Training rows until April with their folds, and the flights of May.

    Attributes:
        data: Training rows.
        judged: Features of May [m, d].
        label: Labels of May [m].
    """

    data: TrainingRows
    judged: pa.Table
    label: Any


def rows_of_may() -> May:
    """Compute the features of the year and divide them."""
    with tempfile.TemporaryDirectory() as folder:
        world = the_year(Path(folder))
        definitions = feature_sets(world)["synthesised"]
        taught, judged = world.taught_by(STARTS[0]), world.judged_in(0)
        if QUICK:
            taught, judged = taught[::10], judged[::10]
        matrix = feature_matrix(problem, definitions, world.spine, world.snapshot, LocalEngine())
    train = matrix.take(pa.array(taught))
    label, cutoffs, known = world.label[taught], world.cutoff[taught], world.label_known[taught]
    windows = time_windows(cutoffs, known, STARTS[0], labels=label)
    encoder = Encoder.fit(train)
    data = TrainingRows(
        matrix=train, encoder=encoder, design=encoder.encode(train), label=label, cutoffs=cutoffs, windows=windows,
        folds=time_folds(cutoffs, known, windows, labels=label), before_gate=np.arange(len(label)),
    )  # fmt: skip
    return May(data=data, judged=matrix.take(pa.array(judged)), label=world.label[judged])


def search(data: TrainingRows, families: tuple[str, ...], seconds: float, folder: Path) -> Any:
    """Search configurations as the main job does, for some seconds."""
    digest = prepare(folder / "data", data.design, data.label, data.folds)
    objective = TrialObjective(folder=folder / "data", digest=digest, metric="auc", seed=0, shares=(0.5,))
    space = study_space(families)
    return run_study(
        space, objective, get_searcher("auto")(space), seconds=seconds, seed=0, workers=2, racing=Racing(),
        journal_path=folder / "journal.jsonl", warm_start=warm_start(families),
    )  # fmt: skip


def row_us(may: May, fitted: Any) -> float:
    """Measure the median time from one row of features to a probability, microseconds."""
    rows = [may.judged.slice(number, 1).combine_chunks() for number in range(_MEASURED)]
    return median_us(lambda row: fitted.predict(may.data.encoder.encode(row)), rows)


def median_us(predict: Callable[[Any], Any], rows: Sequence[Any]) -> float:
    """Measure the median time of a call over rows, microseconds."""
    times = []
    for row in rows:
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times)


def family_rows(may: May, command: str) -> list[Row]:
    """Measure what `headrace.models.row_cost` estimates: one encoded row predicted by the default of each family."""
    encoded = [may.data.encoder.encode(may.judged.slice(number, 1).combine_chunks()) for number in range(_MEASURED)]
    rows = []
    for name in (*FAMILIES, "linear"):
        family, data = get_family(name), may.data
        fitted = family.fit(data.design, data.label, family.default(), metric=METRICS["auc"], rounds=_ROUNDS)
        rows.append(
            Row(metric=f"one encoded row, {name}", value=median_us(fitted.predict, encoded), unit="us",
                peer="its estimate, us", peer_value=family_us(name), command=command)
        )  # fmt: skip
    return rows


def main() -> None:
    may, metric = rows_of_may(), METRICS["auc"]
    data = may.data

    def result_of(config: Config) -> RecipeResult:
        return fit_rounds(config, data.design, data.label, data.folds, metric="auc", threads=2)

    alone = search(data, DEFAULT_FAMILIES, SECONDS, FOLDER / f"alone-{SECONDS:g}")
    single = result_of(dict(alone.best.config))
    started = time.monotonic()
    several = search(data, FAMILIES, SEARCH_SHARE * SECONDS, FOLDER / f"several-{SECONDS:g}")
    first = Candidate(config=several.best.config, result=result_of(several.best.config))
    selected = select_ensemble(
        Ensemble(slowdown=_SLOWDOWN), data, several.trials, first, result_of, metric=metric, seed=0
    )
    spent = time.monotonic() - started
    chosen = selected.result if selected is not None else first.result
    models = {
        name: fit_recipe(result.recipe, data.design, data.label, metric="auc")
        for name, result in (("alone", single), ("ensemble", chosen))
    }
    design = data.encoder.encode(may.judged)
    auc = {name: metric.value(may.label, model.predict(design)) for name, model in models.items()}
    cost = {name: row_us(may, model) for name, model in models.items()}
    command = COMMAND + (" QUICK=1" if QUICK else "" if SECONDS == 300 else f" SECONDS_EACH={SECONDS:g}")
    rows = [
        Row(metric="AUC of May, ensemble", value=auc["ensemble"], unit="", goal=Goal(op=">=", value=auc["alone"]),
            peer="search alone", peer_value=auc["alone"], command=command),
        Row(metric="one row from features to probability, ensemble", value=cost["ensemble"], unit="us",
            goal=Goal(op="<=", value=_SLOWDOWN * cost["alone"]), peer="search alone, us", peer_value=cost["alone"],
            command=command),
        Row(metric="time of search and selection, ensemble", value=spent, unit="s", peer="search alone, s",
            peer_value=SECONDS, command=command),
    ]  # fmt: skip
    rows += family_rows(may, command)
    members = chosen.recipe.members
    text = ", ".join(f"{member.family} {weight:.2f}" for weight, member in members) or chosen.recipe.family
    verdict = selected.choice.reason if selected is not None else "one configuration alone is best"
    note = f"{len(data.label):,} flights of January to April, {len(may.label):,} of May. Members: {text}. {verdict}."
    if QUICK:
        show("An ensemble on the flights, quickly: nothing is published", rows)
        print(note)
        return
    publish("ensemble", "An ensemble on the flights' next month", rows, note)


if __name__ == "__main__":
    main()
