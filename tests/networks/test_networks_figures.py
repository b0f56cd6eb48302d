"""Figures of a network for its report: vectors of categories in the plane, TabNet's attention by row and step."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design, Encoder
from headrace.models.ensemble import FittedEnsemble, FittedMember
from headrace.models.explain import model_figures
from headrace.models.families import category_limit, get_family
from headrace.networks.families.figures import principal_plane

RNG = np.random.default_rng(0)


def table(rows: int, levels: int) -> tuple[Encoder, Design]:
    texts = [f"level {number:05}" for number in RNG.integers(0, levels, rows)]
    matrix = pa.table({"x": RNG.normal(size=rows), "town": texts})
    encoder = Encoder.fit(matrix, max_categories=category_limit(("mlp",)))
    return encoder, encoder.encode(matrix)


def test_the_plane_is_that_of_the_largest_variance() -> None:
    """Points of a plane in five dimensions keep their distances; noise outside the plane is left out."""
    flat = RNG.normal(size=(40, 2)) * (3, 2)
    axes = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    places, share = principal_plane(flat @ axes[:2] + 7)
    expected = np.linalg.norm(flat[:, None] - flat, axis=2)
    np.testing.assert_allclose(np.linalg.norm(places[:, None] - places, axis=2), expected, atol=1e-9)
    assert share == pytest.approx(1)
    noise = 0.5 * RNG.normal(size=(40, 1))
    assert 0.8 < principal_plane(flat @ axes[:2] + noise @ axes[2:3])[1] < 1
    assert principal_plane(np.ones((4, 3)))[1] == 1


def test_only_networks_take_long_category_lists() -> None:
    assert category_limit(()) == category_limit(("lightgbm", "mlp")) == 250
    assert category_limit(("mlp", "tabnet")) == 100_000
    encoder, _ = table(3_000, 2_000)
    assert len(encoder.categories["town"]) > 1_000


@pytest.mark.neural
def test_networks_draw_themselves_and_trees_do_not() -> None:
    encoder, design = table(200, 8)
    label = (design.X[:, 0] > 0).astype(float)
    fitted = {
        name: get_family(name).fit(design, label, get_family(name).default(), metric=METRICS["auc"], rounds=2)
        for name in ("mlp", "tabnet")
    }
    members = tuple(FittedMember(family=name, weight=0.5, fitted=model) for name, model in fitted.items())
    figures = model_figures(FittedEnsemble(members=members, binary=True), design, {"town": "Town"}, encoder.categories)
    titles = [figure.title for figure in figures]
    vectors = "Learned vectors of Town"
    assert titles == [vectors, vectors, "Attention of TabNet, each row", "Attention of TabNet, each step"]
    assert all(figure.png.startswith(b"\x89PNG") for figure in figures)
    assert "8 levels with vectors of 5 numbers" in figures[0].caption
    assert model_figures(object(), design, {}, {}) == []


@pytest.mark.neural
def test_the_aggregate_of_the_masks_is_that_of_the_package() -> None:
    import torch

    _, design = table(150, 6)
    family = get_family("tabnet")
    fitted = family.fit(design, design.X[:, 0].astype(float), family.default(), metric=METRICS["rmse"], rounds=4)
    masks, aggregate = fitted.attention(design)
    np.testing.assert_array_equal(masks, fitted.masks(design))
    np.testing.assert_allclose(aggregate.sum(axis=1), 1)
    arrays = fitted.inputs.transform(design)
    with torch.inference_mode():
        x = fitted.network.embed(torch.from_numpy(arrays.numbers.astype(np.float64)), torch.from_numpy(arrays.codes))
        theirs = fitted.network.body.encoder.forward_masks(x)[0].numpy()
    np.testing.assert_allclose(aggregate[:, 0], theirs[:, 0] / theirs.sum(axis=1), rtol=1e-5)
