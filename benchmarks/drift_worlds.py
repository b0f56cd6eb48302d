"""Windows of six worlds of dependent rows, judged by all evidence of Headrace and by the tests of other tools.

A check draws ten columns of a reference of 5,000 rows of 17 weeks (294 rows a week, about 50 entities) and the weeks
after it (`tests/monitor/dependent_world.py`), and asks for the evidence of the last week as the monitor flow does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from tests.monitor.dependent_world import DAYS, WINDOW_DAYS, Sample, draw, shifted

COLUMNS, ENTITY = 10, "_entity_e"
NAMES = [f"x{i}" for i in range(COLUMNS)]
KINDS = dict.fromkeys(NAMES, "numeric")
#: False alarms of a peer are counted in this many windows: they are no rare events.
PEER_WINDOWS = 50
PEERS = ("KS, p < .05", "PSI > .1", "Evidently's default")


class Check(NamedTuple):
    """A window of a world. weeks: how many weeks there are after the reference, all of them shifted by `size` standard
    deviations in the first column; the last one is judged.
    """

    seed: int
    world: str
    rows: int
    size: float = 0.0
    weeks: int = 1
    peers: bool = False


class Found(NamedTuple):
    """any: some column drifted. hit: the shifted one did. peers: the same two of each of `PEERS`."""

    any: bool
    hit: bool
    peers: tuple[tuple[bool, bool], ...] = ()


def judge(check: Check) -> Found:
    """Draw a window and judge it."""
    rng = np.random.default_rng([check.seed, check.rows, check.weeks, len(check.world)])
    sample = draw(rng, check.world, rows=check.rows, columns=COLUMNS, weeks=check.weeks)
    reference, rows = _tables(check, sample)
    start = (DAYS + WINDOW_DAYS * (check.weeks - 1)) * DAY
    last = pa.array(sample.current_cutoffs >= start)
    current = rows.filter(last)
    found = window_evidence(
        reference,
        current.drop_columns([CUTOFF]),
        KINDS,
        length_us=WINDOW_DAYS * DAY,
        start_us=start,
        entities=dict.fromkeys(NAMES, (ENTITY,)),
        history=rows.filter(pa.array(sample.current_cutoffs < start)) if check.weeks > 1 else None,
        cutoffs_us=current[CUTOFF].to_numpy(),
        seed=check.seed,
    )
    peers = _peers(reference, current, found) if check.peers else ()
    return Found(bool(found.drifted), NAMES[0] in found.drifted, peers)


def _tables(check: Check, sample: Sample) -> tuple[pa.Table, pa.Table]:
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
    """A p-value drifts below its threshold, a distance above it."""
    config = metric["config"]
    value, threshold, method = float(metric["value"]), float(config["threshold"]), str(config["method"])
    return value < threshold if "p_value" in method else value >= threshold
