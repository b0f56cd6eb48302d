"""AutoML systems and manual tuning compared on the House Prices table; selected configurations; SHAP.

    make study-house-prices [MINUTES=5] [SEED=0] [CORES=1] [ONLY=headrace,flaml] [QUICK=1]

Five contestants learn one half of the Ames table and predict the other (`benchmarks.house_prices.data`): Headrace;
XGBoost with Hyperopt, written by hand; auto-sklearn 0.15 in an environment of Python 3.9; AutoGluon; FLAML. Each has
the same time limit and the machine for itself, one after the other; with CORES, so many cores for itself, and others
run beside it on the others. A contestant that has finished is not run again, so an interrupted study continues: delete
.headrace/bench/house-prices to start anew.

The page is .headrace/bench/house-prices/<seconds>-<seed>[-<cores>]/report.html. A run of 30 minutes also writes
benchmarks/results/house-prices.html and its section of docs/benchmarks.md. QUICK=1 gives each contestant 30 s.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.house_prices import data
from benchmarks.house_prices.contestants import CONTESTANTS, core_sets, run, run_all
from benchmarks.house_prices.page import Score, scores, write_page
from benchmarks.results import FOLDER, Goal, Row, publish, show

COMMAND = "make study-house-prices"
HOME = Path(".headrace") / "bench" / "house-prices"
QUICK = bool(os.environ.get("QUICK"))
SECONDS = 30.0 if QUICK else 60 * float(os.environ.get("MINUTES", "5"))
SEED = int(os.environ.get("SEED", "0"))
CORES = int(os.environ.get("CORES", "0")) or None
EXPLAIN_S = 8.0 if QUICK else 60.0
#: Runs of at least this are published.
PUBLISHED_S = 1_800.0


def rows_of(scored: list[Score]) -> list[Row]:
    """Headrace's error beside that of each peer, and the time of one row."""
    command = f"{COMMAND} MINUTES={SECONDS / 60:g}" + (f" CORES={CORES}" if CORES else "")
    ours = next((score for score in scored if score.result.contestant.name == "headrace"), None)
    if ours is None:
        return []
    rows = []
    for score in scored:
        if score is ours:
            continue
        title = score.result.contestant.title
        rows.append(Row(metric="RMSLE on the test rows", value=ours.rmsle, unit="", peer=title, peer_value=score.rmsle,
                        goal=Goal(op="<=", value=score.rmsle), command=command))  # fmt: skip
        rows.append(Row(metric="one row predicted", value=ours.result.facts["row_ms"], unit="ms", peer=title,
                        peer_value=score.result.facts["row_ms"], command=command))  # fmt: skip
    return rows


def conditions() -> list[str]:
    """How the study was run."""
    divided = data.halves(data.ames())
    load = os.getloadavg()[1] if hasattr(os, "getloadavg") else float("nan")
    at_once = len(core_sets(CORES))
    cores = f"{CORES} of {os.cpu_count()} cores each, {at_once} at a time" if at_once > 1 else f"{os.cpu_count()} cores"
    return [
        f"Run on {time.strftime('%d %B %Y')} with {SECONDS:.0f} s for each contestant, seed {SEED}, "
        f"{cores} ({platform.machine()}), Python {platform.python_version()} for Headrace and XGBoost. "
        f"Load of the machine over the last five minutes: {load:.1f}.",
        f"Train: {len(divided.train)} rows; test: {len(divided.truth)} rows; one random division with a fixed seed. "
        "No contestant sees the prices of the test rows.",
        "Headrace optimises RMSLE. The others learn log(1 + price) with the squared error, which is the same.",
        "AutoGluon fits its folds one after the other, without ray. auto-sklearn has its defaults (a third is held "
        "out, no final fit on all rows) and 6 GB a run.",
    ]


def main() -> None:
    console = Console()
    chosen = os.environ.get("ONLY", "").split(",")
    folder = HOME / (f"{SECONDS:.0f}-{SEED}" + (f"-{CORES}" if CORES else ""))
    truth = data.write(folder).truth.to_numpy(dtype=float)
    results = []
    asked = [contestant for contestant in CONTESTANTS if chosen == [""] or contestant.name in chosen]
    one = partial(run, folder=folder, seconds=SECONDS, seed=SEED, explain_s=EXPLAIN_S, say=console.print)
    for result in run_all(asked, one, core_sets(CORES)):
        results.append(result)
        write_page(folder / "report.html", scores(results, truth), results, conditions=conditions())
    scored = scores(results, truth)
    for result in results:
        if "absent" in result.facts:
            console.print(f"{result.contestant.title}: {result.facts['absent']}")
    if SECONDS >= PUBLISHED_S and not QUICK:
        shutil.copyfile(folder / "report.html", FOLDER / "house-prices.html")
        publish("house-prices", "House Prices", rows_of(scored), " ".join(conditions()))
    else:
        show(f"House Prices, {SECONDS:.0f} s each: not published", rows_of(scored))
    console.print(f"page: {folder / 'report.html'}")


if __name__ == "__main__":
    main()
