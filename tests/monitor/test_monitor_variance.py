"""Rows of few entities, and days that remember the days before: still worlds stay still, shifts are found."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.columns import column_evidence
from headrace.monitor.evidence.variance import Blocks, between_window_test
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from tests.monitor.no_drift_world import features, lived, planted

KINDS = features(3, 2)


def _look(seed: int, entities: int, memory: float, shift: tuple[str, str, float] | None = None) -> WindowEvidence:
    rng = np.random.default_rng([seed, entities])
    reference, current = lived(rng, 2_000, 120, KINDS, entities=entities, memory=memory)
    current = planted(rng, current, *shift) if shift else current
    return window_evidence(reference, current, KINDS, length_us=7 * DAY, cutoffs_us=current[CUTOFF].to_numpy())


@pytest.mark.parametrize("entities", [3, 16, 100, 4_000])
@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_a_no_drift_world_of_rows_that_are_not_independent_raises_nothing(entities: int, memory: float) -> None:
    """`make bench-drift` makes more checks, and counts; with independent rows 3 to 100 entities always alarm."""
    assert sum(_look(seed, entities, memory).alarming for seed in range(8)) <= 1


@pytest.mark.parametrize("entities", [100, 4_000])
def test_a_shift_is_found_among_rows_that_are_not_independent(entities: int) -> None:
    found = [_look(seed, entities, 0.5, ("n0", "mean", 2.0)) for seed in range(4)]
    assert all("n0" in one.drifted for one in found)


def test_blocks_are_whole_windows_counted_from_the_end() -> None:
    blocks = Blocks.from_cutoffs(np.array([0, 5, 6, 12, 13, 20, 26]), 7)
    assert blocks.count == 3
    assert blocks.ids.tolist() == [-1, -1, 0, 0, 1, 2, 2]


def test_a_window_within_the_scatter_of_blocks_is_no_surprise() -> None:
    blocks = np.full((4, 2), 50)
    assert between_window_test(blocks, blocks.sum(axis=0), np.array([50, 50])).p_value == 1.0
    scattered = np.array([[20, 80], [80, 20], [30, 70], [70, 30]])
    inside, outside = (
        between_window_test(scattered, scattered.sum(axis=0), np.array(row)) for row in ([800, 200], [1_000, 0])
    )
    assert inside.p_value is not None
    assert outside.p_value is not None
    assert 0.05 < outside.p_value < inside.p_value
    alike = np.array([[52, 48], [48, 52], [49, 51], [51, 49]])
    assert between_window_test(alike, alike.sum(axis=0), np.array([1_000, 0])).p_value < 0.001  # type: ignore[operator]


def test_few_windows_are_not_judged_and_say_so() -> None:
    rng = np.random.default_rng(0)
    values, later = rng.normal(size=900), rng.normal(size=300) + 2
    blocks = Blocks.from_cutoffs(np.sort(rng.integers(0, 13 * DAY, 900)), 7 * DAY)
    found = column_evidence("x", "numeric", values, later, blocks=blocks)
    assert not found.drifted
    assert found.note == "not judged: 1.0 independent windows in the reference, 2 are needed"
    assert column_evidence("x", "numeric", values, np.full(300, np.nan), blocks=blocks).drifted  # broken is broken


def test_a_long_lookback_leaves_few_independent_windows() -> None:
    blocks = np.full((17, 2), 50) + np.array([[1], [-1]] * 8 + [[0]]) * np.array([1, -1])
    level, current = blocks.sum(axis=0), np.array([450, 550])
    short, long = (between_window_test(blocks, level, current, lookback_windows=memory) for memory in (0.0, 30 / 7))
    assert long.windows < short.windows / 3
    assert short.p_value is not None
    assert long.p_value is not None
    assert long.p_value > short.p_value


def test_a_reference_without_cutoffs_says_that_rows_are_taken_as_independent() -> None:
    reference, current = lived(np.random.default_rng(0), 300, 30, KINDS, entities=4_000, memory=0.0)
    found = window_evidence(reference.drop_columns([CUTOFF]), current, KINDS, length_us=7 * DAY)
    assert any("rows are treated as independent" in note for note in found.notes)
