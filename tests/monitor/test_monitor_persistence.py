"""Several windows as one: a small shift that lasts is found, one window's luck is not, and what is joined is right."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.columns import JOINED
from headrace.monitor.evidence.moment_tests import moment_results
from headrace.monitor.evidence.moments import MomentDifference
from headrace.monitor.evidence.persistence import long_windows
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from tests.monitor.dependent_world import DAYS, draw, shifted

NAMES = [f"x{i}" for i in range(10)]
KINDS = dict.fromkeys(NAMES, "numeric")


def _table(columns: list[np.ndarray], entities: np.ndarray, cutoffs: np.ndarray) -> pa.Table:
    return pa.table({**dict(zip(NAMES, columns, strict=True)), "_entity_e": entities, CUTOFF: cutoffs})


def _look(seed: int, size: float, *, history: bool = True) -> WindowEvidence:
    sample = draw(np.random.default_rng(seed), "entity-day AR .8", rows=500, columns=10, weeks=6)
    current = [shifted("entity-day AR .8", sample.current[0], size), *sample.current[1:]]
    rows = _table(current, sample.current_entities, sample.current_cutoffs)
    start = (DAYS + 35) * DAY
    last = rows.filter(pa.array(sample.current_cutoffs >= start))
    return window_evidence(
        _table(sample.reference, sample.reference_entities, sample.cutoffs), last.drop_columns([CUTOFF]), KINDS,
        length_us=7 * DAY, start_us=start, entities=dict.fromkeys(NAMES, ("_entity_e",)),
        history=rows.filter(pa.array(sample.current_cutoffs < start)) if history else None,
        cutoffs_us=last[CUTOFF].to_numpy(),
    )  # fmt: skip


def test_a_shift_that_lasts_is_found_by_several_windows_and_seldom_by_one() -> None:
    lasting, single = ([_look(seed, 0.5, history=kept) for seed in range(8)] for kept in (True, False))
    assert sum("x0" in one.drifted for one in lasting) >= 6
    assert sum("x0" in one.drifted for one in single) <= 3
    assert any(one.column("x0").test.startswith(JOINED) for one in lasting)  # type: ignore[union-attr]


def test_without_drift_several_windows_find_nothing() -> None:
    assert sum(bool(_look(seed, 0).drifted) for seed in range(10)) <= 1


def test_long_windows_are_whole_windows_without_gaps() -> None:
    current, length = pa.table({"x": np.zeros(40), "only now": np.zeros(40)}), 7 * DAY
    cutoffs = np.repeat(np.arange(5), 40) * length + 1
    history = pa.table({"x": np.arange(200.0), CUTOFF: cutoffs})
    three, six = long_windows(current, history, 5 * length, length)
    assert (three.windows, six.windows) == (3, 6)
    assert sorted(three.table["x"].to_pylist())[40:] == list(np.arange(120.0, 200.0))
    assert six.table.num_rows == 240
    assert three.table.column_names == ["x"]
    gap = history.filter(pa.array((cutoffs < 2 * length) | (cutoffs > 3 * length)))
    assert [item.windows for item in long_windows(current, gap, 5 * length, length)] == [3]
    assert long_windows(current, None, 5 * length, length) == ()
    assert long_windows(current, history, 5 * length, 0) == ()


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_the_variance_of_joined_windows_is_that_of_a_first_order_process(correlation: float) -> None:
    """The twin draws the process: windows of variance .04 and no rows' noise, averaged over six."""
    rng = np.random.default_rng(0)
    paths = rng.normal(size=(4_000, 206))
    for step in range(1, 206):
        paths[:, step] = correlation * paths[:, step - 1] + np.sqrt(1 - correlation**2) * paths[:, step]
    expected = 0.04 * paths[:, -6:].mean(axis=1).var()
    facts = {"difference": 0.1, "block_rows": 1e6, "rows": 10**9, "row_variance": 1.0, "window_row_variance": 1.0}
    long = [MomentDifference(blocks=0.2 * path[:200], windows=6, **facts) for path in paths[:60]]  # type: ignore[arg-type]
    found = np.mean([one.window_variance for one in moment_results(long)])
    assert found == pytest.approx(expected, rel=0.15)
