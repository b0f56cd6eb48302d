"""Compare Headrace's AutoML with other systems at equal time on tables that its portfolio does not know.

    make bench-automl [QUICK=1] [SECONDS=60] [FOLDS=3] [MINUTES=90] [ONLY=epa2021,Males] [PARTS=1] [FOLDER=tables]
                      [AGAIN=1]

Every run is a file in .headrace/bench/automl, so a run that was cut off goes on. After MINUTES no run begins, and the
figures are those of the runs that there are (MINUTES=0: of those recorded before). The runs of the other systems are
also written to benchmarks/results/automl-peers.json with their versions and the date, and are not repeated where they
stand there (AGAIN=1 repeats them). PARTS=1 compares Headrace with itself without each of its parts instead. FOLDER adds
tables of a folder with a manifest.json (`benchmarks.automl.tables.user_tables`), and publishes nothing. QUICK=1
compares two tables at twenty seconds, prints, and publishes nothing. Nothing else should run on the machine: all
systems use two cores.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.automl.summary import Results, rows_of, rows_of_parts
from benchmarks.automl.systems import MAIN, PARTS, System, run_system
from benchmarks.automl.tables import FOLDS as ALL_FOLDS
from benchmarks.automl.tables import ORDERED, RANDOM, TABLES, Table, user_tables
from benchmarks.results import FOLDER as RESULTS
from benchmarks.results import publish, show
from headrace.core.files import write_bytes, write_json

COMMAND = "make bench-automl"
STATE = Path(".headrace") / "bench" / "automl"
PEERS = RESULTS / "automl-peers.json"
QUICK, AGAIN, ONLY_PARTS = (bool(os.environ.get(name)) for name in ("QUICK", "AGAIN", "PARTS"))
SECONDS = int(os.environ.get("SECONDS") or (20 if QUICK else 60))
#: After so many minutes no run begins.
MINUTES = float(os.environ.get("MINUTES") or "inf")
FOLDS = 1 if QUICK else int(os.environ.get("FOLDS") or ALL_FOLDS)
_QUICK = ("epa2021", "Males")


def tables() -> tuple[Table, ...]:
    """Return the tables of this run, random and ordered ones in turn."""
    if folder := os.environ.get("FOLDER"):
        return user_tables(Path(folder))
    only = (os.environ.get("ONLY") or (",".join(_QUICK) if QUICK else "")).split(",")
    turns = [table for pair in zip(RANDOM, ORDERED, strict=False) for table in pair]
    ordered = [*turns, *(table for table in TABLES if table not in turns)]
    return tuple(table for table in ordered if only == [""] or table.name in only)


def systems() -> tuple[System, ...]:
    """Return the systems whose environment exists and that accept the time limit."""
    chosen = (MAIN[0], *PARTS) if ONLY_PARTS else MAIN
    return tuple(system for system in chosen if system.python.exists() and system.least_s <= SECONDS)


def cases() -> Iterator[tuple[Table, int, System]]:
    """Yield all runs: the first fold of every table before the second."""
    for fold in range(FOLDS):
        for table in tables():
            for system in systems():
                yield table, fold, system


def key_of(table: str, fold: int, system: str, seconds: int) -> str:
    return f"{table}-{fold}-{system}-{seconds}".replace(" ", "-").replace(",", "")


def recorded() -> dict[str, Any]:
    """Return the finished runs by key: those of this checkout, and the peers' that were committed."""
    committed = json.loads(PEERS.read_text()) if PEERS.exists() and not AGAIN else []
    own = [json.loads(path.read_text()) for path in sorted(STATE.glob("*.json"))]
    return {key_of(run["table"], run["fold"], run["system"], run["seconds"]): run for run in (*committed, *own)}


def run_all() -> list[dict[str, Any]]:
    """Run what is missing and fits in MINUTES; return all runs of this time limit."""
    known, everything = recorded(), list(cases())
    found, start = [], time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("bench-automl", total=len(everything))
        for table, fold, system in everything:
            key = key_of(table.name, fold, system.name, SECONDS)
            progress.update(bar, description=f"{table.name} {fold} {system.name}")
            if key not in known and time.monotonic() - start < 60 * MINUTES:
                today = datetime.datetime.now(datetime.UTC).date().isoformat()
                known[key] = {**run_system(system, table, fold, SECONDS), "date": today}
                write_json(STATE / f"{key}.json", known[key])
            if key in known:
                found.append(known[key])
            progress.advance(bar)
    return found


def record_peers() -> None:
    """Write the runs of the other systems where they are committed, one a line."""
    names = {system.name for system in MAIN if not system.own}
    tables_here = {table.name for table in TABLES}
    runs = [run for _, run in sorted(recorded().items()) if run["system"] in names and run["table"] in tables_here]
    runs = [run for run in runs if run["seconds"] >= 60]
    lines = ",\n".join(" " + json.dumps(run) for run in runs)
    write_bytes(PEERS, f"[\n{lines}\n]\n".encode())


NOTE = """Test loss on tables that the portfolio's matrix does not hold, at {seconds} s and two cores for every system:
{tables} tables, {runs} runs. Loss is 1 - AUC for two classes, log loss for more, RMSE for numbers. Normalised loss: 0
is the best system of the table and fold, 1 a constant prediction. 90 % intervals resample tables. AutoGluon knows the
groups or the time by `validation_structure`, FLAML by `split_type`. {machine}"""
PARTS_NOTE = """What the test loss of Headrace's AutoML gains when one of its parts is left out, at {seconds} s and two
cores, on {tables} tables: a share of the distance from Headrace to a constant prediction. Above 0, the part helps. 90 %
intervals resample tables. {machine}"""
#: What the committed figures were measured on; the person who runs the benchmark states it.
_MACHINE = os.environ.get("MACHINE", "")


def main() -> None:
    runs = run_all()
    command = COMMAND + (" QUICK=1" if QUICK else "" if SECONDS == 60 else f" SECONDS={SECONDS}")
    results = Results.of(runs, f"{command} PARTS=1" if ONLY_PARTS else command)
    rows = rows_of_parts(results) if ONLY_PARTS else rows_of(results)
    if QUICK or os.environ.get("FOLDER") or os.environ.get("ONLY"):
        show("AutoML, quickly: nothing is published", rows)
        return
    if ONLY_PARTS:
        note = PARTS_NOTE.format(seconds=SECONDS, tables=len({table for table, _ in results.runs}), machine=_MACHINE)
        publish("automl-parts", "Worth of the parts of AutoML", rows, note)
        return
    record_peers()
    names = len({table for table, _ in results.runs})
    note = NOTE.format(seconds=SECONDS, tables=names, runs=len(runs), machine=_MACHINE)
    publish("automl" if SECONDS == 60 else f"automl-{SECONDS}", f"AutoML at {SECONDS} s", rows, note)


if __name__ == "__main__":
    main()
