"""Runs: one contender, one table, one seed, made once and kept.

A run lies under what it depends on (the code of our searchers or a peer's version, the table's bytes), so nothing that
is still true is repeated, and a killed run goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.progress import track

from benchmarks.surrogate.code_version import code_version
from benchmarks.surrogate.contenders import Run, contender_named, version_of
from benchmarks.surrogate.table import FOLDER, load_table
from benchmarks.surrogate.verdict import Marks
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest

KEPT = Path(".headrace") / "bench" / "search"
#: Trials of a run.
BUDGET = 100


class Case(NamedTuple):
    """One run to be made."""

    contender: str
    table: str
    seed: int

    @property
    def path(self) -> Path:
        folder = f"{self.contender.replace(',', '').replace(' ', '_')}-{_version(self.contender)}"
        return KEPT / folder / f"{self.table}-{_digest(self.table)}-{self.seed}.json"


@cache
def _version(contender: str) -> str:
    return version_of(contender)


@cache
def _digest(table: str) -> str:
    return file_digest(FOLDER / f"{table}.parquet")[:8]


def run_case(case: Case, path: Path) -> None:
    """Make one run and keep it."""
    made = contender_named(case.contender)(load_table(case.table), case.seed, BUDGET)
    write_json(path, asdict(made))


def run_all(cases: Sequence[Case], *, processes: int = 2, seconds: float | None = None) -> int:
    """Make the runs that are missing, until the time is up; how many are still missing."""
    # paths are those of the code that is here now, should a file of a searcher be saved meanwhile
    missing = [(one, one.path) for one in cases if not one.path.exists()]
    if not missing:
        return 0
    started, ended = time.monotonic(), 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=single_threaded) as pool:
        waiting = [pool.submit(run_case, *one) for one in missing]
        for done in track(as_completed(waiting), f"{len(missing)} runs", total=len(missing)):
            done.result()
            ended += 1
            if seconds is not None and time.monotonic() - started > seconds:
                pool.shutdown(wait=True, cancel_futures=True)
                break
    return sum(not path.exists() for _, path in missing)


def single_threaded() -> None:
    # only libraries that are loaded are limited, and searchers load SciPy's late
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def marks_of(table: str) -> Marks:
    """What the losses of a table are compared with, worked out once."""
    code = code_version(("benchmarks.surrogate.table", "benchmarks.surrogate.model", "benchmarks.surrogate.space"))
    path = KEPT / f"marks-{code[:12]}" / f"{table}-{_digest(table)}.json"
    if not path.exists():
        surrogate = load_table(table)
        write_json(path, [surrogate.random_at_100, float(np.median(surrogate.losses)), surrogate.best])
    return Marks(*read_json(path))


def read_run(case: Case) -> Run:
    return Run(**read_json(case.path))
