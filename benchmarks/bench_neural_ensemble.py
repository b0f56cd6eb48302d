"""What networks add to AutoML's ensemble: Headrace with and without them, at equal time, on tables of bench-automl.

    make bench-neural-ensemble [QUICK=1] [SECONDS=600] [FOLDS=1] [MINUTES=90] [ONLY=epa2021,Males]

Both run at the same time with one core each, so that other work on the machine costs both alike. Every run is a file in
.headrace/bench/neural-ensemble, so a benchmark that was cut off goes on; after MINUTES no run begins. Tables come in
the order of bench-automl, random and ordered ones in turn. QUICK=1 compares two tables at 60 seconds and publishes
nothing.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks.automl.systems import HEADRACE, System, run_system
from benchmarks.automl.tables import FOLDS as ALL_FOLDS
from benchmarks.bench_automl import key_of, tables
from benchmarks.results import Row, publish, show
from headrace.automl.families import DEFAULT_FAMILIES
from headrace.core.files import write_json

QUICK = bool(os.environ.get("QUICK"))
SECONDS = int(os.environ.get("SECONDS") or (60 if QUICK else 600))
COMMAND = "make bench-neural-ensemble" + ("" if SECONDS == 600 else f" SECONDS={SECONDS}")
FOLDS = min(int(os.environ.get("FOLDS") or 1), ALL_FOLDS)
MINUTES = float(os.environ.get("MINUTES") or "inf")
STATE = Path(".headrace") / "bench" / "neural-ensemble"
NETWORKS = ("mlp", "tabm")
_DRAWS = 2_000

_BASE = System(name=HEADRACE, script="automl_headrace", environment=".venv-neural", cores=1)
WITHOUT = replace(_BASE, name="without networks")
WITH = replace(_BASE, name="with networks", options={"families": [*DEFAULT_FAMILIES, *NETWORKS]})


def both(table: Any, fold: int) -> dict[str, Any] | None:
    """Return the runs of both systems by name, at the same time where they are missing; None where one failed."""
    systems = (WITHOUT, WITH)
    paths = [STATE / f"{key_of(table.name, fold, system.name, SECONDS)}.json" for system in systems]
    if not all(path.exists() for path in paths):
        with ThreadPoolExecutor(len(systems)) as pool:
            runs = pool.map(lambda system: run_system(system, table, fold, SECONDS), systems)
            for path, run in zip(paths, runs, strict=True):
                write_json(path, run)
    found = {system.name: json.loads(path.read_text()) for system, path in zip(systems, paths, strict=True)}
    for run in found.values():
        print(run["table"], run["system"], run["loss"], run.get("fit_s"), run.get("error", ""), flush=True)
    return found if all(run["loss"] is not None for run in found.values()) else None


def rows_of(cases: list[dict[str, Any]]) -> list[Row]:
    """Return the rows: wins, gain with its interval, time of a fit and of a predicted row."""
    before, after = (np.array([case[system.name]["loss"] for case in cases]) for system in (WITHOUT, WITH))
    constant = np.array([case[WITH.name]["constant_loss"] for case in cases])
    gain = (before - after) / (constant - np.minimum(before, after))
    draws = np.random.default_rng(0).choice(gain, (_DRAWS, len(gain))).mean(axis=1)
    low, high = np.quantile(draws, [0.05, 0.95])

    def row(metric: str, value: float, unit: str, **facts: Any) -> Row:
        return Row(metric=metric, value=float(value), unit=unit, command=COMMAND, **facts)

    def middle(system: System, fact: str) -> float:
        return float(np.median([case[system.name][fact] for case in cases]))

    rows = [
        row(f"with networks better, of {len(cases)} tables", np.mean(after < before), "of tables"),
        row(f"with networks worse, of {len(cases)} tables", np.mean(after > before), "of tables"),
        row(f"mean gain by networks, {low:.3f} to {high:.3f}", gain.mean(), "of the distance to a constant prediction"),
    ]
    for fact, unit in (("fit_s", "s"), ("predict_us", "us a row")):
        value, peer = middle(WITH, fact), middle(WITHOUT, fact)
        rows.append(row(f"median {fact.split('_')[0]}", value, unit, peer=WITHOUT.name, peer_value=peer))
    for case in cases:
        run = case[WITH.name]
        rows.append(row(f"{run['table']}: loss with networks", run["loss"], "", peer=WITHOUT.name,
                        peer_value=case[WITHOUT.name]["loss"]))  # fmt: skip
    return rows


NOTE = """AutoML with the networks {networks} among its families and without them: {seconds} s and one core for each, at
the same time, first {folds} fold(s) of tables that the portfolio does not hold. Loss is 1 - AUC for two classes, log
loss for more, RMSE for numbers. The 90 % interval resamples tables. {machine}"""
#: What the committed figures were measured on; the person who runs the benchmark states it.
_MACHINE = os.environ.get("MACHINE", "")


def main() -> None:
    start = time.monotonic()
    planned = [(table, fold) for fold in range(FOLDS) for table in tables()]
    cases = []
    for table, fold in track(planned, "bench-neural-ensemble"):
        recorded = (STATE / f"{key_of(table.name, fold, WITH.name, SECONDS)}.json").exists()
        if (recorded or time.monotonic() - start < 60 * MINUTES) and (found := both(table, fold)):
            cases.append(found)
    rows = rows_of(cases)
    if QUICK or os.environ.get("ONLY"):
        show("Networks in AutoML's ensemble, quickly: nothing is published", rows)
        return
    note = NOTE.format(networks=" and ".join(NETWORKS), seconds=SECONDS, folds=FOLDS, machine=_MACHINE)
    publish("neural-ensemble", f"Networks in AutoML's ensemble at {SECONDS} s", rows, note)


if __name__ == "__main__":
    main()
