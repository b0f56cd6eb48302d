"""Windows of six worlds of dependent rows, judged by all evidence of Headrace and by the tests of other tools.

A check draws ten columns of a reference of 5,000 rows of 17 weeks (294 rows a week, about 50 entities) and the weeks
after it (`tests/monitor/dependent_world.py`), and asks for the evidence of the last week as the monitor flow does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.results import Goal, Row
from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from tests.monitor.dependent_world import DAYS, WINDOW_DAYS, WORLDS, Sample, draw, shifted

COLUMNS, ENTITY = 10, "_entity_e"
NAMES = [f"x{i}" for i in range(COLUMNS)]
KINDS = dict.fromkeys(NAMES, "numeric")
#: False alarms of a peer are counted in this many windows: they are no rare events.
PEER_WINDOWS = 20
#: Rows of a window -> by how much fewer windows of it are judged than of others.
SIZES = {100: 1, 1_000: 1, 10_000: 1, 50_000: 2}
#: World and shift -> per cent that have to be found.
GOALS = {
    ("same entities", 0.25): 95.0,
    ("entity-day AR .8", 1.0): 90.0,
    ("10 % common shock", 4.0): 95.0,
    ("skewed, correlated", 4.0): 95.0,
}
NO_DRIFT_NOTE = (
    "A window has ten numeric features, compared with a reference of 5,000 rows of 17 weeks. Values are sums of a level"
    " of one of 50 entities, a shock of the day common to all, one of the entity's own on that day (both with an"
    " autocorrelation of .8 between days), and noise of the row; skewed ones are log-normal, and correlated between"
    " features. A false alarm is any feature found in one window. Rows of peers have no goal; they take rows as"
    " independent."
)
POWER_NOTE = (
    "As for data without drift, with 1,000 rows a week, but one of ten features is shifted by standard deviations of"
    " its values (of their logarithms, where skewed). It counts as found at the level at which the windows without"
    " drift were judged. Peers are compared at their own thresholds; their false alarms are above."
)
PEERS = ("KS, p < .05", "PSI > .1", "Evidently's default")


Run = Callable[[list["Check"]], list["Found"]]


class Check(NamedTuple):
    """A window of a world. weeks: how many weeks there are after the reference, all of them shifted by `size` standard
    deviations in the first column. The last one is judged; where `every`, each until the shift is found.
    """

    seed: int
    world: str
    rows: int
    size: float = 0.0
    weeks: int = 1
    peers: bool = False
    every: bool = False


class Found(NamedTuple):
    """any: some column drifted. hit: the shifted one did. peers: the same two of each of `PEERS`."""

    any: bool
    hit: bool
    peers: tuple[tuple[bool, bool], ...] = ()


def judge(check: Check) -> Found:
    """Draw a window and judge it."""
    rng = np.random.default_rng([check.seed, check.rows, check.weeks, len(check.world)])
    sample = draw(rng, check.world, rows=check.rows, columns=COLUMNS, weeks=check.weeks)
    reference, rows = tables_of(check, sample)
    for week in range(0 if check.every else check.weeks - 1, check.weeks):
        current, found = _week(check, reference, rows, (DAYS + WINDOW_DAYS * week) * DAY)
        if NAMES[0] in found.drifted:
            break
    peers = _peers(reference, current, found) if check.peers else ()
    return Found(bool(found.drifted), NAMES[0] in found.drifted, peers)


def _week(check: Check, reference: pa.Table, rows: pa.Table, start_us: int) -> tuple[pa.Table, WindowEvidence]:
    cutoffs, end_us = rows[CUTOFF].to_numpy(), start_us + WINDOW_DAYS * DAY
    current = rows.filter(pa.array((cutoffs >= start_us) & (cutoffs < end_us)))
    found = window_evidence(
        reference,
        current.drop_columns([CUTOFF]),
        KINDS,
        length_us=WINDOW_DAYS * DAY,
        start_us=start_us,
        entities=dict.fromkeys(NAMES, (ENTITY,)),
        history=rows.filter(pa.array(cutoffs < start_us)) if check.weeks > 1 else None,
        cutoffs_us=current[CUTOFF].to_numpy(),
        seed=check.seed,
    )
    return current, found


def tables_of(check: Check, sample: Sample) -> tuple[pa.Table, pa.Table]:
    current = [shifted(check.world, sample.current[0], check.size), *sample.current[1:]]
    sides = (
        (sample.reference, sample.reference_entities, sample.cutoffs),
        (current, sample.current_entities, sample.current_cutoffs),
    )
    first, second = (
        pa.table({**dict(zip(NAMES, columns, strict=True)), ENTITY: entities, CUTOFF: cutoffs})
        for columns, entities, cutoffs in sides
    )
    return first, second


def _peers(reference: pa.Table, current: pa.Table, found: WindowEvidence) -> tuple[tuple[bool, bool], ...]:
    """Return (some column drifted, the first did) by each of `PEERS`."""
    from scipy import stats

    before, after = ([table[name].to_numpy() for name in NAMES] for table in (reference, current))
    ks = [stats.ks_2samp(x, y, method="asymp").pvalue < 0.05 for x, y in zip(before, after, strict=True)]
    psi = [found.column(name).scores["psi"] > 0.1 for name in NAMES]  # type: ignore[union-attr]
    return tuple((bool(any(one)), bool(one[0])) for one in (ks, psi, _evidently(reference, current)))


def _evidently(reference: pa.Table, current: pa.Table) -> list[bool]:
    """Return which columns drifted by the test and threshold that Evidently chooses by default."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(numerical_columns=NAMES)
    sides = [
        Dataset.from_pandas(table.select(NAMES).to_pandas(), data_definition=definition)  # type: ignore[attr-defined]
        for table in (current, reference)
    ]
    metrics: list[dict[str, Any]] = Report([ValueDrift(column=name) for name in NAMES]).run(*sides).dict()["metrics"]
    return [_drifted(metric) for metric in metrics]


def _drifted(metric: dict[str, Any]) -> bool:
    """A p-value drifts below its threshold, a distance at or above it."""
    config = metric["config"]
    value, threshold, method = float(metric["value"]), float(config["threshold"]), str(config["method"])
    return value < threshold if "p_value" in method else value >= threshold


def no_drift(run: Run, windows: int, command: str) -> list[Row]:
    """Rows of false alarms per window, with six weeks of history where it says so."""
    rows = []
    for world in WORLDS:
        for size, divisor in SIZES.items():
            count = max(windows // divisor, 10)
            found = run([Check(seed, world, size) for seed in range(count)])
            rows.append(_row(f"{world}, n = {size:,}: alarms in {count:,} windows", found, "any", command, least=None))
        found = run([Check(seed, world, 1_000, weeks=6) for seed in range(windows)])
        name = f"{world}, n = 1,000, sixth week: alarms in {windows:,} windows"
        rows.append(_row(name, found, "any", command, least=None))
        found = run([Check(seed, world, 1_000, peers=True) for seed in range(min(PEER_WINDOWS, windows // 4))])
        for i, peer in enumerate(PEERS):
            rows.append(_peer_row(f"{world}, n = 1,000: {peer}, alarms", [one.peers[i][0] for one in found], command))
    return rows


def power(run: Run, windows: int, command: str) -> list[Row]:
    """Rows of detected shifts in one of ten columns, at the level of a window."""
    rows = []
    for world in WORLDS:
        for size in (0.25, 0.5, 1.0, 2.0, 4.0):
            found = run([Check(10_000 + seed, world, 1_000, size) for seed in range(windows)])
            rows.append(_row(f"{world}: {size:g} sd, found", found, "hit", command, least=GOALS.get((world, size))))
        found = run([Check(20_000 + seed, world, 1_000, 0.5, weeks=6, every=True) for seed in range(windows)])
        rows.append(_row(f"{world}: .5 sd that lasts, found within six weeks", found, "hit", command, least=80))
        count = min(PEER_WINDOWS, windows // 2)
        found = run([Check(10_000 + seed, world, 1_000, 0.25, peers=True) for seed in range(count)])
        for i, peer in enumerate(PEERS):
            rows.append(_peer_row(f"{world}: .25 sd, {peer}, found", [one.peers[i][1] for one in found], command))
    return rows


def _row(name: str, found: list[Found], fact: str, command: str, *, least: float | None) -> Row:
    goal = Goal(op="<=", value=1.0) if fact == "any" else None if least is None else Goal(op=">=", value=least)
    value = 100 * float(np.mean([getattr(one, fact) for one in found]))
    return Row(metric=name, value=value, unit="%", goal=goal, command=command)


def _peer_row(name: str, found: list[bool], command: str) -> Row:
    return Row(metric=f"{name} in {len(found)} windows", value=100 * float(np.mean(found)), unit="%", command=command)
