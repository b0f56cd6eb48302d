"""Measures the drift tests: false alarms without drift, power for planted shifts, and speed.

    make bench-drift [QUICK=1] [ONLY=speed|worlds|power|nannyml|columns|shifts|few|few-shifts]

The worlds of dependent rows are in `drift_worlds`. In the other parts:
A check draws a reference of 5,000 rows of 120 days, 2,000 rows of the last 28 of them that the model had not seen, and
a window of the next seven days anew, and asks for all evidence as the monitor flow does: ten features, predictions,
labels and quality. Batches of checks are kept in .headrace/bench-drift.jsonl for as long as the code of the evidence
stays as it is, so a run that was cut off goes on. An alarm is any finding at all, in one window; a decision to retrain
wants more (k of n windows), so the rate of alarms bounds the rate of such decisions. The peer in the same checks is the
usual rule: some column's PSI (JS distance, for categories) is at least .1, whatever the number of rows. In clustered
worlds values are those of few entities and remember the days before; the peer is the same evidence of independent rows.
"""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks import drift_nannyml, drift_worlds
from benchmarks.results import Goal, Row, publish
from headrace.core.clock import DAY
from headrace.core.fingerprint import fingerprint
from headrace.core.source_code import installed_source
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from tests.monitor import dependent_world, no_drift_world
from tests.monitor.no_drift_world import features, lived, planted, timed, window

COMMAND = "make bench-drift"
SIZES = (100, 1_000, 10_000)
REFERENCE_ROWS, UNSEEN_ROWS, COLUMNS = 5_000, 2_000, 10
KEPT, BATCH = Path(".headrace/bench-drift.jsonl"), 100
DAYS, UNSEEN_DAYS, WEEK = 120, 28, 7 * DAY
ENTITIES, MEMORY, CLUSTERED_ROWS, PEER_CHECKS = (3, 16, 100, 4_000), 0.8, 2_000, 20
#: shift -> the column it is planted in, its sizes, and how to say them.
SHIFTS: dict[str, tuple[str, tuple[float, ...], str]] = {
    "mean": ("n0", (0.25, 0.5, 1.0), "mean + {:g} sd"),
    "spread": ("n0", (1.5, 2.0), "sd x {:g}"),
    "mix": ("c0", (0.05, 0.1, 0.2), "{:.0%} of rows to the rarest category"),
    "missing": ("n0", (0.1, 0.2), "{:.0%} of rows lose their value"),
    "label rate": ("", (0.1, 0.2), "label rate + {:g}"),
}
NOTE = (
    "A window has ten features, predictions, labels and quality of one week. The reference has 5,000 rows of"
    " 120 days, and 2,000 rows of the last 28 days on which the model was not fitted. Every check samples all"
    " of them again. A false alarm is any finding in one window; a decision to retrain also requires"
    " persistence over windows."
)
SHIFTS_NOTE = (
    "As for data without drift, but one of ten features (or the labels) is shifted. Shifts below the floor"
    " (about a quarter of a standard deviation, ten percentage points of a label rate) should not be detected"
    " with any number of rows; near the floor, some are."
)
CLUSTERED_NOTE = (
    "As for data without drift, but each of 2,000 rows has the value of its entity on that day, with an"
    " autocorrelation of .8 between days. Below 1,000 entities, half of the variation is common to all"
    " entities. Labels and predictions are independent. The peer is the same test with rows treated as"
    " independent (20 checks)."
)
MOVED_NOTE = (
    "If few entities vary together, 17 weeks are a small sample of windows, and 3 or 16 entities are no sample of"
    " entities. A window has five numeric and five categorical features; one numeric feature is shifted."
)


class Check(NamedTuple):
    """One window to judge. numeric, categorical: features of it. shift None: nothing happens. entities 0: rows are
    independent.
    """

    seed: int
    rows: int
    numeric: int
    categorical: int
    shift: str | None = None
    size: float = 0.0
    entities: int = 0


class Outcome(NamedTuple):
    """alarm: anything at all counts. usual: the peer's rule. hit: the planted shift itself was named."""

    alarm: bool
    usual: bool
    hit: bool


#: Column of the entities of clustered worlds.
ENTITY = "_entity_e"
Run = Callable[[list[Check]], list[Outcome]]


def judge(check: Check) -> Outcome:
    rng = np.random.default_rng([check.seed, check.rows, check.numeric])
    kinds = features(check.numeric, check.categorical)
    reference, current = _sides(rng, check, kinds)
    entities = dict.fromkeys(kinds, (ENTITY,))
    column = SHIFTS[check.shift][0] if check.shift else ""
    if check.shift:
        current = planted(rng, current, column, check.shift, check.size)
    held_out = timed(rng, window(rng, UNSEEN_ROWS, {}), DAYS - UNSEEN_DAYS, DAYS)
    cutoffs = _cutoffs(current)
    found = window_evidence(
        reference,
        current,
        kinds,
        held_out=held_out,
        length_us=WEEK,
        seed=check.seed,
        cutoffs_us=cutoffs,
        entities=entities,
    )
    compared = check.entities and check.seed < PEER_CHECKS
    by_rows = window_evidence(reference, current, kinds, held_out=held_out, seed=check.seed) if compared else None
    return Outcome(alarm=found.alarming, usual=by_rows.alarming if by_rows else usual(found), hit=named(found, column))


def _sides(rng: np.random.Generator, check: Check, kinds: dict[str, str]) -> tuple[pa.Table, pa.Table]:
    if check.entities:
        return lived(rng, check.rows, DAYS, kinds, entities=check.entities, memory=MEMORY)
    before, after = window(rng, REFERENCE_ROWS, kinds), window(rng, check.rows, kinds)
    return timed(rng, before, 0, DAYS), timed(rng, after, DAYS, DAYS + 7)


def _cutoffs(table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(table[CUTOFF].to_numpy(), dtype=np.int64)


def usual(found: WindowEvidence) -> bool:
    return any(item.scores["psi" if item.kind == "numeric" else "js"] >= 0.1 for item in found.columns)


def named(found: WindowEvidence, column: str) -> bool:
    return column in found.drifted if column else found.label is not None and found.label.drifted


def share(found: Iterable[bool]) -> float:
    """Per cent."""
    return 100 * float(np.mean(list(found)))


def no_drift_worlds(run: Run, checks: int, command: str) -> list[Row]:
    rows = []
    for kind, (numeric, categorical) in {"numeric": (COLUMNS, 0), "categorical": (0, COLUMNS)}.items():
        for size in SIZES:
            found = run([Check(seed, size, numeric, categorical) for seed in range(checks)])
            rows.append(
                Row(metric=f"no drift, {kind}, n = {size:,}: alarms in {checks:,} checks",
                    value=share(one.alarm for one in found), unit="%", goal=Goal(op="<=", value=1.0),
                    peer="some PSI or JS >= .1, %", peer_value=share(one.usual for one in found), command=command)
            )  # fmt: skip
    return rows


def shifts(run: Run, checks: int, command: str) -> list[Row]:
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


def clustered_still(run: Run, checks: int, command: str) -> list[Row]:
    rows = []
    for entities in ENTITIES:
        found = run([Check(seed, CLUSTERED_ROWS, 5, 5, entities=entities) for seed in range(checks)])
        rows.append(
            Row(metric=f"no drift, clustered, {entities:,} entities: alarms in {checks:,} checks",
                value=share(one.alarm for one in found), unit="%", goal=Goal(op="<=", value=1.0),
                peer="rows as independent, %", peer_value=share(one.usual for one in found[:PEER_CHECKS]),
                command=command)
        )  # fmt: skip
    return rows


def clustered_shifts(run: Run, moved: int, command: str) -> list[Row]:
    rows = []
    for entities in ENTITIES:
        for amount in (1.0, 2.0, 4.0):
            found = run([Check(20_000 + seed, CLUSTERED_ROWS, 5, 5, "mean", amount, entities) for seed in range(moved)])
            rows.append(
                Row(metric=f"mean + {amount:g} sd, clustered, {entities:,} entities: found",
                    value=share(one.hit for one in found), unit="%", command=command)
            )  # fmt: skip
    return rows


def speed(command: str) -> Row:
    """50 columns (40 numeric) x 50,000 rows on both sides, everything decided; the peer renders nothing either."""
    kinds, rng = features(40, 10), np.random.default_rng(0)
    reference = timed(rng, window(rng, 50_000, kinds), 0, DAYS)
    current = timed(rng, window(rng, 50_000, kinds), DAYS, DAYS + 7)
    window_evidence(reference.slice(0, 100), current.slice(0, 100), kinds)  # imports
    times = []
    for seed in range(3):
        started = time.process_time()
        window_evidence(reference, current, kinds, length_us=WEEK, cutoffs_us=_cutoffs(current), seed=seed)
        times.append(time.process_time() - started)
    return Row(metric="50 columns x 50,000 rows decided, CPU seconds (best of 3)", value=min(times), unit="s",
               goal=Goal(op="<=", value=1.5), peer="Evidently, explicit test per column",
               peer_value=evidently(reference, current, kinds), command=command)  # fmt: skip


def evidently(reference: object, current: object, kinds: dict[str, str]) -> float:
    """CPU seconds of one Evidently report on the same columns with the same kind of tests, nothing rendered."""
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
    started = time.process_time()
    report.run(*sides).dict()
    return time.process_time() - started


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    note = (
        "All drift tests of a window of 50,000 rows with a reference of 50,000, quality included; both are in memory."
        " CPU time of one process, which is the elapsed time on an idle machine."
    )
    only = os.environ.get("ONLY", "")
    if only in ("", "speed"):
        publish("drift-speed", "Drift tests: speed", [speed(command)], note)
    if only in ("", "nannyml"):
        if not drift_nannyml.PEER.exists():
            print(f"no {drift_nannyml.PEER}: NannyML is left out; `make .venv-nannyml/.installed` installs it")
        else:
            found = drift_nannyml.nannyml_rows(5 if quick else 20, f"{command} ONLY=nannyml")
            publish("drift-nannyml", "Drift tests: NannyML with dependent rows", found, drift_nannyml.NOTE)
    for name, part in PARTS.items():
        if only in ("", name):
            publish(part.section, part.title, rates(part, part.checks[quick], command), part.note)


class Part(NamedTuple):
    """A section of the page. judge: of one check; its result is `outcome`. checks: of each row, in full and QUICK."""

    section: str
    title: str
    judge: Callable[[Any], Any]
    outcome: Callable[..., Any]
    rows: Callable[[Any, int, str], list[Row]]
    checks: tuple[int, int]
    note: str


PARTS = {
    "worlds": Part(
        "drift", "Drift tests: false alarms without drift", drift_worlds.judge, drift_worlds.Found,
        drift_worlds.no_drift, (100, 20), drift_worlds.NO_DRIFT_NOTE,
    ),
    "power": Part(
        "drift-power", "Drift tests: power with dependent rows", drift_worlds.judge, drift_worlds.Found,
        drift_worlds.power, (30, 10), drift_worlds.POWER_NOTE,
    ),
    "columns": Part(
        "drift-columns", "Drift tests: kinds of columns without drift", judge, Outcome, no_drift_worlds, (100, 20), NOTE
    ),
    "shifts": Part("drift-shifts", "Drift tests: power with independent rows", judge, Outcome, shifts, (40, 5),
                   SHIFTS_NOTE),
    "few": Part(
        "drift-clustered", "Drift tests: few entities without drift", judge, Outcome, clustered_still, (100, 20),
        CLUSTERED_NOTE,
    ),
    "few-shifts": Part(
        "drift-clustered-shifts", "Drift tests: power with few entities", judge, Outcome, clustered_shifts, (40, 10),
        MOVED_NOTE,
    ),
}  # fmt: skip


def rates(part: Part, checks: int, command: str) -> list[Row]:
    """The rows of a section, a batch of checks at a time."""
    kept, code = _kept(), _code(part)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:

        def run(wanted: list[Any]) -> list[Any]:
            found: list[Any] = []
            for batch in (wanted[at : at + BATCH] for at in range(0, len(wanted), BATCH)):
                key = fingerprint([code, *batch])
                if key not in kept:
                    kept[key] = [list(one) for one in pool.map(part.judge, batch, chunksize=5)]
                    _keep(key, kept[key])
                found += [part.outcome(*one) for one in kept[key]]
            print(
                wanted[0],
                len(found),
                "checks:",
                [sum(map(bool, facts)) for facts in zip(*found, strict=True)],
                flush=True,
            )
            return found

        return part.rows(run, checks, command)


def _code(part: Part) -> str:
    """Of all that a check depends on; a report of drift, or a comment, is not among it."""
    sizes = (REFERENCE_ROWS, UNSEEN_ROWS, DAYS, UNSEEN_DAYS, MEMORY, PEER_CHECKS)
    evidence = installed_source().digest(["headrace.monitor.evidence.window"])
    own = [inspect.getsource(one) for one in (no_drift_world, judge, _sides, named, usual)]
    if part.judge is drift_worlds.judge:
        functions = (drift_worlds.judge, drift_worlds._week, drift_worlds.tables_of, drift_worlds._peers)
        own = [inspect.getsource(one) for one in (dependent_world, *functions)]
    return fingerprint([evidence, *own, *sizes])


def _kept() -> dict[str, list[Any]]:
    if not KEPT.exists():
        return {}
    return {row["key"]: row["found"] for row in map(json.loads, KEPT.read_text().splitlines())}


def _keep(key: str, found: list[Any]) -> None:
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a") as file:
        file.write(json.dumps({"key": key, "found": found}) + "\n")


if __name__ == "__main__":
    main()
