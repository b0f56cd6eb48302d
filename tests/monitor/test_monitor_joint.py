"""The classifier two-sample test: finds what no column shows, and keeps its level where rows are dependent."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.joint import JointResult, Rows, _auc, _thirds, joint_evidence
from headrace.monitor.evidence.window import window_evidence
from headrace.monitor.policy.decision import PastDecision, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from tests.monitor.dependent_world import WORLDS, Sample, draw

pytestmark = pytest.mark.slow

NAMES = [f"x{i}" for i in range(6)]


def _tables(sample: Sample) -> tuple[pa.Table, pa.Table]:
    reference, window = (
        pa.table({**dict(zip(NAMES, columns, strict=True)), "_entity_e": entities, CUTOFF: cutoffs})
        for columns, entities, cutoffs in (
            (sample.reference, sample.reference_entities, sample.cutoffs),
            (sample.current, sample.current_entities, sample.current_cutoffs),
        )
    )
    return reference, window


def _look(seed: int, world: str, correlation: float = 0.0) -> tuple[JointResult, Sample]:
    """One window; with a correlation, the second feature keeps its distribution and is tied to the first."""
    sample = draw(np.random.default_rng(seed), world, rows=500, columns=len(NAMES))
    if correlation:
        first, second = sample.current[:2]
        sample.current[1] = correlation * first + np.sqrt(1 - correlation**2) * second
    reference, window = _tables(sample)
    found = joint_evidence(
        reference, window, NAMES, cutoffs_us=sample.current_cutoffs, length_us=7 * DAY, entity="_entity_e", seed=seed
    )
    assert found is not None
    return found, sample


@pytest.mark.parametrize("world", WORLDS)
def test_without_drift_it_keeps_its_level(world: str) -> None:
    """Both of two windows are below .05 by chance in one run of 400; one at the test's own level in one of 500."""
    found = [_look(seed, world)[0] for seed in range(2)]
    assert sum(one.p_value < 0.05 for one in found) <= 1
    assert not any(one.drifted for one in found)


def test_a_joint_change_is_found_that_no_column_shows() -> None:
    found, sample = _look(1, "same entities", correlation=0.95)
    assert found.drifted
    assert found.auc > found.usual_auc + 0.08
    reference, window = _tables(sample)
    columns = window_evidence(
        reference, window, dict.fromkeys(NAMES, "numeric"), cutoffs_us=sample.current_cutoffs, length_us=7 * DAY,
        entities=dict.fromkeys(NAMES, ("_entity_e",)),
    )  # fmt: skip
    assert columns.drifted == ()


def test_the_auc_is_of_rows_whose_entity_and_day_the_classifier_has_not_seen() -> None:
    """Entities have levels of their own: folds of rows would tell the window by its entities."""
    rng = np.random.default_rng(0)
    level = rng.normal(0, 1, (40, 3))
    entity = np.concatenate([rng.integers(0, 20, 600), rng.integers(20, 40, 300)])
    day = rng.integers(0, 60, 900)
    features = level[entity] + rng.normal(0, 0.01, (900, 3))
    zeros, ones = (Rows(features[part], entity[part], day[part]) for part in (slice(0, 600), slice(600, 900)))
    assert 0.3 < _auc(zeros, ones, 0) < 0.75
    by_row = [Rows(one.features, np.arange(len(one.day)) + k * 10_000, one.day) for k, one in enumerate((zeros, ones))]
    assert _auc(by_row[0], by_row[1], 0) > 0.95


def test_groups_are_divided_whole() -> None:
    groups = np.random.default_rng(0).integers(0, 30, 500)
    third = _thirds(groups, 1)
    assert {len(set(third[groups == one])) for one in np.unique(groups)} == {1}
    assert set(third) == {0, 1, 2}


def test_categories_and_missing_values_are_compared_and_without_blocks_there_is_no_result() -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 900).tolist()
    cutoffs = np.sort(rng.integers(0, 70 * DAY, 900))
    reference = pa.table(
        {"kind": kind, "x": pa.array(rng.normal(0, 1, 900), mask=rng.random(900) < 0.1), CUTOFF: cutoffs}
    )
    window = pa.table({"kind": ["d"] * 100, "x": pa.nulls(100, pa.float64())})
    later = np.sort(rng.integers(70 * DAY, 77 * DAY, 100))
    found = joint_evidence(reference, window, ["kind", "x", "gone"], cutoffs_us=later, length_us=7 * DAY)
    assert found is not None
    assert (found.features, found.drifted) == (2, True)
    assert joint_evidence(reference, window, ["gone"], cutoffs_us=later, length_us=7 * DAY) is None
    assert joint_evidence(reference, window, ["x"], cutoffs_us=later, length_us=40 * DAY) is None
    assert joint_evidence(reference.drop_columns([CUTOFF]), window, ["x"], cutoffs_us=later, length_us=7 * DAY) is None


def test_it_alerts_once_confirmed_and_retrains_nothing() -> None:
    finding = Finding(name="all features together", about="joint", test="classifier", effect=0.7, p_value=1e-5)

    def window(day: int) -> Window:
        return Window(problem="p", start_us=(day - 7) * DAY, end_us=day * DAY, champion="1", findings=(finding,))

    first = decide(window(7))
    second = decide(window(14), [PastDecision(decision=first)])
    assert (first.kind, second.kind) == ("nothing", "alert")
    assert "all features together drifted (2 of 3 windows)" in second.reason
