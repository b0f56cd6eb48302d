"""The classifier two-sample test: small shifts of many features are found together, and no drift keeps its level."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import DAY
from headrace.models.bundle import CUTOFF
from headrace.monitor.evidence.joint import Rows, _auc, _discriminant, _halves, joint_evidence
from tests.monitor.dependent_world import WORLDS, draw, shifted

NAMES = [f"x{i}" for i in range(12)]


def _look(seed: int, world: str, size: float) -> float:
    sample = draw(np.random.default_rng(seed), world, rows=500, columns=len(NAMES))
    current = [shifted(world, values, size * (-1) ** i) for i, values in enumerate(sample.current)]
    reference, window = (
        pa.table({**dict(zip(NAMES, columns, strict=True)), "_entity_e": entities, CUTOFF: cutoffs})
        for columns, entities, cutoffs in (
            (sample.reference, sample.reference_entities, sample.cutoffs),
            (current, sample.current_entities, sample.current_cutoffs),
        )
    )
    found = joint_evidence(
        reference, window, NAMES, cutoffs_us=sample.current_cutoffs, length_us=7 * DAY, entity="_entity_e", seed=seed
    )
    assert found is not None
    assert found.p_value is not None
    return found.p_value


@pytest.mark.parametrize("world", [name for name, parts in WORLDS.items() if parts.recur])
def test_without_drift_it_keeps_its_level(world: str) -> None:
    """More than 3 of 12 below .05 come by chance in one run of 400."""
    assert sum(_look(seed, world, 0) < 0.05 for seed in range(12)) <= 3


def test_small_shifts_of_many_features_are_found_together() -> None:
    assert sum(_look(seed, "same entities", 0.3) < 0.001 for seed in range(4)) >= 3


def test_the_auc_is_that_of_rows_whose_entity_and_day_were_not_seen() -> None:
    """The twin goes through folds and pairs of rows."""
    rng = np.random.default_rng(0)
    zeros, ones = (
        Rows(rng.normal(size=(n, 2)) + shift, rng.integers(0, 12, n), rng.integers(first, first + 8, n))
        for n, shift, first in ((120, 0.0, 0), (60, 0.8, 4))
    )
    features, label = np.concatenate([zeros.features, ones.features]), np.repeat([0, 1], [120, 60])
    entity, day = (_halves(np.concatenate(both), 3) for both in ((zeros.entity, ones.entity), (zeros.day, ones.day)))
    better = positives = 0.0
    for fold in ((0, 0), (0, 1), (1, 0), (1, 1)):
        test = [i for i in range(180) if (entity[i], day[i]) == fold]
        train = [i for i in range(180) if entity[i] != fold[0] and day[i] != fold[1]]
        direction = _discriminant(features[train], label[train].astype(float))
        scores = {i: float(features[i] @ direction) for i in test}
        pairs = [(i, j) for i in test for j in test if label[i] == 1 and label[j] == 0]
        count = sum(label[i] for i in test)
        better += count * sum(scores[i] > scores[j] for i, j in pairs) / len(pairs)
        positives += count
    assert _auc(zeros, ones, 3) == pytest.approx(better / positives)
    assert 0.6 < better / positives < 0.9


def test_without_cutoffs_or_features_there_is_no_result() -> None:
    table = pa.table({"x": np.arange(50.0), CUTOFF: np.arange(50) * DAY})
    cutoffs = table[CUTOFF].to_numpy()
    assert joint_evidence(table.drop_columns([CUTOFF]), table, ["x"], cutoffs_us=cutoffs, length_us=DAY) is None
    assert joint_evidence(table, table, ["y"], cutoffs_us=cutoffs, length_us=DAY) is None
    few = joint_evidence(table, table, ["x"], cutoffs_us=cutoffs, length_us=7 * DAY)
    assert few is not None
    assert few.p_value is None
