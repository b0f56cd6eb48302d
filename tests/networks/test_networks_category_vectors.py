"""Vectors of categories as features: shapes, unseen levels, and levels of like effect that lie near each other."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.errors import DataError
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.models.families import get_family

pytestmark = pytest.mark.neural


def world(n: int = 2_000) -> tuple[Design, np.ndarray]:
    """A category of 40 levels, whose effect is -1 or 1 by parity, and a number."""
    rng = np.random.default_rng(0)
    X = np.stack([rng.normal(size=n), rng.integers(0, 40, n)], axis=1).astype(np.float32)
    label = np.where(X[:, 1] % 2 == 0, 1.0, -1.0) + 0.3 * X[:, 0]
    return Design(X=X, names=("x", "city"), categorical=(1,)), label


def test_vectors_become_features_that_separate_levels_of_different_effect() -> None:
    from headrace.networks.families.category_vectors import append_category_vectors

    design, label = world()
    family = get_family("mlp")
    fitted = family.fit(design, label, family.default(), metric=METRICS["rmse"], rounds=8)
    wide = append_category_vectors(fitted, design)
    assert wide.names[:2] == ("x", "city")
    assert wide.X.shape == (2_000, 2 + 21)  # half of 41 levels, with that of unseen ones
    without = append_category_vectors(fitted, design, keep_codes=False)
    assert without.categorical == ()
    vectors = fitted.category_vectors()[1][1:]  # the first is that of unseen levels
    even, odd = vectors[0::2].mean(axis=0), vectors[1::2].mean(axis=0)
    side = (vectors - (even + odd) / 2) @ (even - odd) > 0
    assert (side == (np.arange(40) % 2 == 0)).mean() == 1


def test_unseen_levels_and_other_columns() -> None:
    from headrace.networks.families.category_vectors import append_category_vectors

    design, label = world(300)
    family = get_family("mlp")
    fitted = family.fit(design, label, family.default(), metric=METRICS["rmse"], rounds=1)
    later = Design(X=np.array([[0, 99], [0, np.nan]], dtype=np.float32), names=design.names, categorical=(1,))
    wide = append_category_vectors(fitted, later).X[:, 2:]
    np.testing.assert_allclose(wide, np.repeat(fitted.category_vectors()[1][:1], 2, axis=0), rtol=1e-6)
    with pytest.raises(DataError, match="trained on 2 columns"):
        append_category_vectors(fitted, Design(X=later.X[:, :1], names=("x",), categorical=()))
