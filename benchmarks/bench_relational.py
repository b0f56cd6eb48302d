"""Features of relational tables beside each other: no history, made by hand, featuretools', getML's, Headrace's.

    make bench-relational [QUICK=1] [ONLY=salary,stops] [LIMIT=1200]

Each task of `relational_tasks` has windows in time. All contenders answer for the same rows of train, tune and test,
at each row's own cutoff (protocol `fresh`), and the same model learns from them: LightGBM with Headrace's default
configuration, rounds from the tune window, fitted again on train and tune. What differs are the features; `hand-made`
are those of the flights alone, of `make study-flights`. One contender more, `ours, AutoML`, has our features and two
minutes of AutoML on two cores, validated in time, in place of that model. Seconds are processor time of all processes:
features of all rows, selection where a contender selects, and all fits. A peer that is not done after LIMIT seconds on
the clock has no result, and the last rank. A run that is broken off goes on with what is missing (.bench-relational/);
delete the folder to measure anew.
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.relational_export import export
from benchmarks.relational_tasks import QUICK, TASKS
from benchmarks.results import Goal, Row, publish
from headrace.app.context import context_of
from headrace.core.clock import NEVER
from headrace.core.files import read_json, write_json
from headrace.evaluate.fixed_splits import TEST, TRAIN, TUNE, window_of_rows
from headrace.evaluate.gate import differences, interval
from headrace.evaluate.metrics import METRICS
from headrace.lake.store import Lake, Snapshot
from headrace.models.design import Encoder
from headrace.models.families import warm_start
from headrace.models.recipe import fit_recipe, fit_rounds
from headrace.pipeline.context import Context
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.walker import PipelineRun
from headrace.problems.catalogue import declare
from headrace.schema import Problem
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.language.definitions import Aggregate, Definition, Transform
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.selection.select import select
from headrace.synthesis.spine.build import build_spine

ROOT = Path(__file__).parents[1]
#: As it was called, with its options.
COMMAND = " ".join(
    [
        "make bench-relational",
        *(f"{name}={os.environ[name]}" for name in ("QUICK", "ONLY", "LIMIT") if os.environ.get(name)),
    ]
)
STORE = ROOT / ".bench-relational"
PEERS = {"featuretools": ROOT / ".venv-featuretools", "getml": ROOT / ".venv-getml"}
Floats = NDArray[np.float64]
#: Processor time of engines that are no children of this process (s), of the contender that is measured.
_ENGINE_S: list[float] = []


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A task's rows. spine: sorted by cutoff [n]; window: TRAIN, TUNE or TEST of each [n]."""

    context: Context
    snapshot: Snapshot
    spine: pa.Table
    window: NDArray[np.int64]

    @property
    def problem(self) -> Problem:
        return self.context.problem


@dataclass(frozen=True, kw_only=True)
class Result:
    """A contender on a task. value: the metric on the test rows, None where there is none (`why`)."""

    task: str
    contender: str
    metric: str
    value: float | None
    seconds: float
    features: int
    rows: int
    why: str = ""


def processor_s() -> float:
    """Processor time of this process and its ended children (s)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def asked(name: str, folder: Path, most: int) -> Asked:
    """Load a task into a lake, and draw at most `most` rows of each window."""
    declared = TASKS[name]()
    reference = name if name in ("flights", "nafld") else declare(declared)
    context = context_of(reference, folder, workers=2)
    from dataclasses import replace

    context = replace(context, problem=replace(declared, entity_set=context.problem.entity_set))
    PipelineRun(context, (INGEST,)).walk()
    snapshot = Lake(context.root, declared.name).snapshot()
    spine = build_spine(context.problem, snapshot, now_us=NEVER - 1, engine=context.engine)
    spine = spine.filter(spine["mature"])
    assert declared.splits is not None
    window = window_of_rows(declared.splits, spine["cutoff"].to_numpy())
    known, cutoffs = spine["label_known"].to_numpy(), spine["cutoff"].to_numpy()
    starts = declared.splits.starts_us
    late = ((window == TRAIN) & (known >= starts["tune"])) | ((window == TUNE) & (known >= starts["test"]))
    rng, chosen = np.random.default_rng(0), []
    for one in (TRAIN, TUNE, TEST):
        rows = np.flatnonzero((window == one) & ~late)
        chosen.append(np.sort(rng.choice(rows, min(most if one == TRAIN else most // 3, len(rows)), replace=False)))
    keep = np.concatenate(chosen)
    keep = keep[np.argsort(cutoffs[keep], kind="stable")]
    return Asked(context=context, snapshot=snapshot, spine=spine.take(pa.array(keep)), window=window[keep])


def predictions(task: Asked, matrix: pa.Table) -> Floats:
    """Predictions of the test rows by the common model."""
    metric, label = task.problem.metric, task.spine["label"].to_numpy()
    train, tune, test = (np.flatnonzero(task.window == one) for one in (TRAIN, TUNE, TEST))
    design = Encoder.fit(matrix).encode(matrix)
    found = fit_rounds(warm_start(("lightgbm",))[0], design, label, [(train, tune)], metric=metric)
    rows = np.sort(np.concatenate([train, tune]))
    return fit_recipe(found.recipe, design, label, metric=metric, rows=rows).predict(design.rows(test))


def _definitions(task: Asked) -> tuple[Definition, ...]:
    schemas = {table.name: task.snapshot.table(table.name).schema for table in task.problem.entity_set.tables}
    return enumerate_definitions(task.problem, schemas, task.snapshot)


def no_history(task: Asked) -> pa.Table:
    """What the row and the rows of its parents tell."""

    def plain(item: Definition) -> bool:
        return (
            all(plain(part) for part in item.inputs) if isinstance(item, Transform) else not isinstance(item, Aggregate)
        )

    chosen = [item for item in _definitions(task) if plain(item)]
    matrix = feature_matrix(task.problem, chosen, task.spine, task.snapshot, task.context.engine)
    return matrix if matrix.num_columns else pa.table({"none": np.zeros(task.spine.num_rows)})


def ours(task: Asked) -> pa.Table:
    """All candidates, and those of them that the selection keeps on train and tune."""
    definitions = _definitions(task)
    matrix = feature_matrix(task.problem, definitions, task.spine, task.snapshot, task.context.engine)
    rows = np.flatnonzero(task.window != TEST)
    kept = select(matrix, task.spine["label"].to_numpy(), definitions, max_features=120, seed=0, threads=2, rows=rows)
    return matrix.select([item.slug for item in kept.kept])


def hand_made(task: Asked) -> pa.Table:
    """What the row tells, the origin's weather, and the history features that a person chose for the flights."""
    from benchmarks.study_flights import by_hand, weather

    chosen = (*weather(_definitions(task)), *by_hand())
    history = feature_matrix(task.problem, chosen, task.spine, task.snapshot, task.context.engine)
    matrix = no_history(task)
    for name in history.column_names:
        matrix = matrix.append_column(name, history[name])
    return matrix


def _run_peer(command: Sequence[Path], limit_s: float) -> None:
    """Run a peer; after the limit it is killed with its engine, which is a process of its own."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), stderr=errors)


def peer(name: str) -> Callable[[Asked], pa.Table]:
    """The features of another engine, computed in a process of its own."""

    def compute(task: Asked) -> pa.Table:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            export(task, folder)
            script = ROOT / "benchmarks" / "peers" / f"relational_{name}.py"
            limit = float(os.environ.get("LIMIT", "60" if os.environ.get("QUICK") else "1200"))
            _run_peer([PEERS[name] / "bin" / "python", script, folder], limit)
            values = pq.read_table(folder / "values.parquet")
            if (folder / "figures.json").exists():  # an engine beside the peer's own process
                _ENGINE_S.append(float(read_json(folder / "figures.json")["engine_s"]))
        values = values.take(pa.array(np.argsort(values["row"].to_numpy()))).drop_columns(["row"])
        plain = no_history(task)
        for position, column in enumerate(values.columns):
            plain = plain.append_column(f"peer_{position}", column)
        return plain

    return compute


def automl_predictions(task: Asked, matrix: pa.Table) -> Floats:
    """Predictions of the test rows by AutoML."""
    from headrace.automl import HeadraceClassifier, HeadraceRegressor

    seconds = 20.0 if os.environ.get("QUICK") else 120.0
    rows, test = (np.flatnonzero(chosen) for chosen in (task.window != TEST, task.window == TEST))
    frame, label = matrix.to_pandas(), task.spine["label"].to_numpy()
    cutoffs = task.spine["cutoff"].to_numpy()[rows]
    classifies = len(np.unique(label)) == 2
    model = (HeadraceClassifier if classifies else HeadraceRegressor)(
        metric=task.problem.metric, seconds=seconds, n_jobs=2, validation="time", random_state=0
    )
    model.fit(frame.iloc[rows].reset_index(drop=True), label[rows], groups=cutoffs)
    asked_rows = frame.iloc[test].reset_index(drop=True)
    predicted = model.predict_proba(asked_rows)[:, 1] if classifies else model.predict(asked_rows)
    return np.asarray(predicted, dtype=np.float64)


@dataclass(frozen=True)
class Contender:
    """features: computes the feature matrix of all rows; model: predicts the test rows from it; only: its tasks."""

    features: Callable[[Asked], pa.Table]
    model: Callable[[Asked, pa.Table], Floats] = predictions
    only: tuple[str, ...] = tuple(TASKS)


CONTENDERS = {
    "no history": Contender(no_history),
    "hand-made": Contender(hand_made, only=("flights",)),
    "featuretools": Contender(peer("featuretools")),
    "getml": Contender(peer("getml")),
    "ours": Contender(ours),
    "ours, AutoML": Contender(ours, automl_predictions),
}
OURS = ("ours", "ours, AutoML")
#: Contenders of some tasks only, which have no rank.
PARTIAL = tuple(name for name, one in CONTENDERS.items() if one.only != tuple(TASKS))


def measure(task: Asked, name: str, contender: str, folder: Path) -> Result:
    """Measure one contender, and store its result and predictions."""
    started, why, value, features = processor_s(), "", None, 0
    _ENGINE_S.clear()
    test = np.flatnonzero(task.window == TEST)
    try:
        matrix = CONTENDERS[contender].features(task)
        features = matrix.num_columns
        predicted = CONTENDERS[contender].model(task, matrix)
        value = METRICS[task.problem.metric].value(task.spine["label"].to_numpy()[test], predicted)
        np.save(folder / f"{name}-{contender}.npy", predicted)
    except FileNotFoundError:
        why = "not installed"
    except subprocess.TimeoutExpired as error:
        why = f"not done after {error.timeout:.0f} s"
    except subprocess.CalledProcessError as error:
        why = (error.stderr or b"").decode().strip().splitlines()[-1][:120] if error.stderr else "failed"
    seconds = processor_s() - started + sum(_ENGINE_S)
    result = Result(task=name, contender=contender, metric=task.problem.metric, value=value, seconds=seconds,
                    features=features, rows=len(test), why=why)  # fmt: skip
    if why != "not installed":
        write_json(folder / f"{name}-{contender}.json", asdict(result))
    return result


def rows_of(results: Sequence[Result], folder: Path, differences_of: dict[str, tuple[float, float]]) -> list[Row]:
    """Rows of the table: the metric beside that without history, its gain per processor minute, and mean ranks."""
    rows, ranks = [], {}
    for task in dict.fromkeys(one.task for one in results):
        mine = {one.contender: one for one in results if one.task == task and one.value is not None}
        metric = METRICS[next(iter(mine.values())).metric]
        order = sorted(mine, key=lambda name: -metric.sign * float(mine[name].value or 0.0))
        ranked = [name for name in order if name not in PARTIAL]
        without = [
            one.contender for one in results if one.task == task and one.value is None and one.contender not in PARTIAL
        ]
        for name in (*ranked, *without):
            place = ranked.index(name) + 1 if name in ranked else len(ranked) + len(without)
            ranks.setdefault(name, []).append(place)
        plain = mine["no history"]
        for name, one in mine.items():
            gain = metric.sign * (float(one.value or 0.0) - float(plain.value or 0.0))
            interval_text = "".join(
                f"; {own} minus it in [{low:+.4f}, {high:+.4f}]"
                for own in OURS
                for low, high in [differences_of.get(f"{task}-{own}-{name}", (np.nan, np.nan))]
                if low == low
            )
            rows.append(
                Row(
                    metric=f"{task}: {name} ({one.features} features, {one.rows} test rows, {one.seconds:.0f} s, "
                    f"gain {60 * gain / max(one.seconds, 1e-9):+.4f} a processor minute{interval_text})",
                    value=float(one.value or 0.0), unit=metric.name, peer="no history",
                    peer_value=float(plain.value or 0.0), command=COMMAND,
                )
            )  # fmt: skip
    best_of_others = min(float(np.mean(places)) for name, places in ranks.items() if name not in OURS)
    for name, places in ranks.items():
        all_ran = all(one.why != "not installed" for one in results)
        goal = Goal(op="<=", value=best_of_others) if name in OURS and all_ran else None
        rows.append(Row(metric=f"mean rank over {len(places)} tasks: {name}", value=float(np.mean(places)), unit="",
                        goal=goal, command=COMMAND))  # fmt: skip
    return rows


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    names = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else list(QUICK if quick else TASKS)
    folder = STORE / ("quick" if quick else "whole")
    folder.mkdir(parents=True, exist_ok=True)
    results, intervals = [], {}
    for name in names:
        paths = {one: folder / f"{name}-{one}.json" for one in CONTENDERS if name in CONTENDERS[one].only}
        if not all(path.exists() for path in paths.values()):
            with tempfile.TemporaryDirectory() as home:
                task = asked(name, Path(home), 3_000 if quick else 30_000)
                found = [
                    Result(**read_json(path)) if path.exists() else measure(task, name, one, folder)
                    for one, path in paths.items()
                ]
                intervals |= _intervals(task, name, folder)
        else:
            found = [Result(**read_json(path)) for path in paths.values()]
        known = read_json(folder / "intervals.json") if (folder / "intervals.json").exists() else {}
        write_json(folder / "intervals.json", known | intervals)
        results += found
        print(name, [(one.contender, one.value, round(one.seconds)) for one in found], file=sys.stderr, flush=True)
    stored = {key: tuple(value) for key, value in read_json(folder / "intervals.json").items()}
    note = (__doc__ or "").split("\n\n", 2)[2] + (" Quick: few rows of three tasks." if quick else "")
    missing = "; ".join(f"{one.task}: {one.contender} ({one.why})" for one in results if one.value is None)
    note += f"\nNo result, and so the last rank: {missing}." if missing else ""
    publish("relational", "Features of relational tables", rows_of(results, folder, stored), note)


def _intervals(task: Asked, name: str, folder: Path) -> dict[str, tuple[float, float]]:
    """90 % intervals of ours minus a peer, from a paired bootstrap over days; positive is better."""
    test = np.flatnonzero(task.window == TEST)
    label, cutoffs = task.spine["label"].to_numpy()[test], task.spine["cutoff"].to_numpy()[test]
    found = {}
    for own, one in itertools.product(OURS, (contender for contender in CONTENDERS if contender not in OURS)):
        mine, theirs = folder / f"{name}-{own}.npy", folder / f"{name}-{one}.npy"
        if mine.exists() and theirs.exists():
            _, resampled = differences(METRICS[task.problem.metric], label, np.load(mine), np.load(theirs), cutoffs,
                                       seed=0, resamples=500)  # fmt: skip
            found[f"{name}-{own}-{one}"] = interval(resampled)
    return found


if __name__ == "__main__":
    main()
