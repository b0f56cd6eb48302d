"""What the evidence of a window says: of worlds that stand still, of planted shifts, and how long it takes.

    make bench-drift [QUICK=1] [ONLY=speed]

A check draws a reference of 5,000 rows and a window anew and asks for all evidence: ten features, predictions, labels
and quality. An alarm is any finding at all, in one window; a decision to retrain wants more (k of n windows), so the
rate of alarms bounds the rate of such decisions. The peer in the same checks is the usual rule: some column's PSI (JS
distance, for categories) is at least .1, whatever the number of rows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from benchmarks.results import Goal, Row, publish
from headrace.monitor.evidence import WindowEvidence, window_evidence
from tests.monitor.still_world import features, planted, window

COMMAND = "make bench-drift"
SIZES = (100, 1_000, 10_000)
REFERENCE_ROWS, COLUMNS = 5_000, 10
#: shift -> the column it is planted in, its sizes, and how to say them.
SHIFTS: dict[str, tuple[str, tuple[float, ...], str]] = {
    "mean": ("n0", (0.25, 0.5, 1.0), "mean + {:g} sd"),
    "spread": ("n0", (1.5, 2.0), "sd x {:g}"),
    "mix": ("c0", (0.05, 0.1, 0.2), "{:.0%} of rows to the rarest category"),
    "missing": ("n0", (0.1, 0.2), "{:.0%} of rows lose their value"),
    "label rate": ("", (0.1, 0.2), "label rate + {:g}"),
}
NOTE = (
    "Ten features, predictions, labels and quality against a reference of 5,000 rows; every check draws both sides"
    " anew. An alarm is any finding in a single window; a decision to retrain also wants persistence. Shifts below the"
    " floor (about a quarter of a standard deviation, ten points of a label rate) are not meant to be found, however"
    " many rows show them; near it, some are."
)


class Check(NamedTuple):
    """One window to judge. numeric, categorical: features of it. shift None: nothing happens."""

    seed: int
    rows: int
    numeric: int
    categorical: int
    shift: str | None = None
    size: float = 0.0


class Found(NamedTuple):
    """alarm: anything at all counts. usual: the peer's rule. hit: the planted shift itself was named."""

    alarm: bool
    usual: bool
    hit: bool


def judge(check: Check) -> Found:
    rng = np.random.default_rng([check.seed, check.rows, check.numeric])
    kinds = features(check.numeric, check.categorical)
    reference, current = window(rng, REFERENCE_ROWS, kinds), window(rng, check.rows, kinds)
    column = SHIFTS[check.shift][0] if check.shift else ""
    if check.shift:
        current = planted(rng, current, column, check.shift, check.size)
    found = window_evidence(reference, current, kinds, seed=check.seed)
    return Found(alarm=found.alarming, usual=usual(found), hit=named(found, column))


def usual(found: WindowEvidence) -> bool:
    return any(item.scores["psi" if item.kind == "numeric" else "js"] >= 0.1 for item in found.columns)


def named(found: WindowEvidence, column: str) -> bool:
    return column in found.drifted if column else found.label is not None and found.label.drifted


def share(found: Iterable[bool]) -> float:
    """Per cent."""
    return 100 * float(np.mean(list(found)))


def still_worlds(run: Callable[[list[Check]], list[Found]], checks: int, command: str) -> list[Row]:
    rows = []
    for kind, (numeric, categorical) in {"numeric": (COLUMNS, 0), "categorical": (0, COLUMNS)}.items():
        for size in SIZES:
            found = run([Check(seed, size, numeric, categorical) for seed in range(checks)])
            rows.append(
                Row(metric=f"still world, {kind}, n = {size:,}: alarms in {checks:,} checks",
                    value=share(one.alarm for one in found), unit="%", goal=Goal(op="<=", value=1.0),
                    peer="some PSI or JS >= .1, %", peer_value=share(one.usual for one in found), command=command)
            )  # fmt: skip
    return rows


def shifts(run: Callable[[list[Check]], list[Found]], checks: int, command: str) -> list[Row]:
    rows = []
    for shift, (_, amounts, words) in SHIFTS.items():
        for amount in amounts:
            for size in SIZES:
                found = run([Check(10_000 + seed, size, 5, 5, shift, amount) for seed in range(checks)])
                rows.append(
                    Row(metric=f"{words.format(amount)}, n = {size:,}: found", value=share(one.hit for one in found),
                        unit="%", command=command)
                )  # fmt: skip
    return rows


def speed(command: str) -> Row:
    """50 columns (40 numeric) x 50,000 rows on both sides, everything decided; the peer renders nothing either."""
    kinds, rng = features(40, 10), np.random.default_rng(0)
    reference, current = window(rng, 50_000, kinds), window(rng, 50_000, kinds)
    window_evidence(reference.slice(0, 100), current.slice(0, 100), kinds)  # imports
    times = []
    for seed in range(3):
        started = time.perf_counter()
        window_evidence(reference, current, kinds, seed=seed)
        times.append(time.perf_counter() - started)
    return Row(metric="50 columns x 50,000 rows decided (best of 3)", value=min(times), unit="s",
               goal=Goal(op="<=", value=3.0), peer="Evidently, explicit test per column",
               peer_value=evidently(reference, current, kinds), command=command)  # fmt: skip


def evidently(reference: object, current: object, kinds: dict[str, str]) -> float:
    """Seconds of one Evidently report on the same columns with the same kind of tests, nothing rendered."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    numeric = [name for name, kind in kinds.items() if kind == "numeric"]
    categorical = [name for name, kind in kinds.items() if kind == "categorical"]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    sides = [
        Dataset.from_pandas(table.select(list(kinds)).to_pandas(), data_definition=definition)  # type: ignore[attr-defined]
        for table in (current, reference)
    ]
    report = Report(
        [ValueDrift(column=name, method="ks" if kind == "numeric" else "jensenshannon") for name, kind in kinds.items()]
    )
    started = time.perf_counter()
    report.run(*sides).dict()
    return time.perf_counter() - started


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    note = "Evidence of a window of 50,000 rows against as many, quality included; both sides are already in memory."
    publish("drift-speed", "Speed of drift evidence", [speed(command)], note)
    if os.environ.get("ONLY") != "speed":
        publish("drift", "Evidence of drift", rates(quick, command), NOTE)


def rates(quick: bool, command: str) -> list[Row]:
    still, moved = (100, 20) if quick else (1_000, 100)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:

        def run(checks: list[Check]) -> list[Found]:
            return list(pool.map(judge, checks, chunksize=10))

        return still_worlds(run, still, command) + shifts(run, moved, command)


if __name__ == "__main__":
    main()
