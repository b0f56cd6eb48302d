"""Guards of DARTS and compound scaling, which need no PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.errors import DeclarationError
from headrace.networks.architectures import TABULAR_OPERATIONS, tabular_space
from headrace.networks.gradient_search.guard import CurvatureStop, collapsed, discretise
from headrace.networks.scaling import Factors, Sizes3, grid, grown, scale, single_axis

SPACE = tabular_space()


def cell(first: str, direct: str, second: str):
    edges = {"edge 0-1": first, "edge 0-2": direct, "edge 1-2": second}
    return SPACE.genotype({**edges, "width": 16, "depth": 1, "resolution": 0})


@pytest.mark.parametrize(
    ("edges", "answer"),
    [
        (("skip", "skip", "skip"), True),
        (("linear", "skip", "none"), True),  # its weights lead nowhere
        (("none", "skip", "linear"), True),
        (("skip", "none", "linear"), False),
        (("none", "linear", "none"), False),
        (("none", "none", "none"), True),
    ],
)
def test_a_cell_has_collapsed_where_no_way_has_weights(edges: tuple[str, str, str], answer: bool) -> None:
    assert collapsed(SPACE, cell(*edges)) is answer


def test_the_limit_on_skips_replaces_the_weakest() -> None:
    skip, none = TABULAR_OPERATIONS.index("skip"), TABULAR_OPERATIONS.index("none")
    weights = np.zeros((3, len(TABULAR_OPERATIONS)))
    weights[:, none] = 9
    weights[:, skip] = [3, 1, 2]
    weights[1, TABULAR_OPERATIONS.index("glu")] = 0.5
    weights[2, TABULAR_OPERATIONS.index("linear")] = 0.5
    assert discretise(weights, TABULAR_OPERATIONS) == ("skip", "skip", "skip")
    assert discretise(weights, TABULAR_OPERATIONS, max_parameter_free=1) == ("skip", "glu", "linear")


def test_no_weights_collapse_with_the_limit() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        weights = rng.normal(size=(3, len(TABULAR_OPERATIONS)))
        weights[:, TABULAR_OPERATIONS.index("skip")] += 5
        assert collapsed(SPACE, cell(*discretise(weights, TABULAR_OPERATIONS)))
        names = discretise(weights, TABULAR_OPERATIONS, max_parameter_free=1)
        assert not collapsed(SPACE, cell(*names))


def test_a_max_pool_counts_as_an_operation_without_weights() -> None:
    """The cell of three max pools is what DARTS finds on the digits without the guard (benchmarks.study_nas)."""
    operations = ("skip", "conv_3x3", "max_pool_3x3")
    weights = np.array([[0.1, 0.2, 0.9], [0.1, 0.3, 0.7], [0.1, 0.0, 0.8]])
    assert discretise(weights, operations) == ("max_pool_3x3",) * 3
    assert discretise(weights, operations, max_parameter_free=1) == ("max_pool_3x3", "conv_3x3", "conv_3x3")


def test_growing_curvature_stops_a_search() -> None:
    stop = CurvatureStop(window=3)
    assert not any(stop.add(value) for value in [1, 1.1, 0.9, 1, 1.1, 1, 1.2, 1.1])
    assert [stop.add(value) for value in [1.5, 2.5, -4]] == [False, True, True]


def test_the_growth_at_the_start_of_a_search_does_not_stop_it() -> None:
    """It would without the warm-up: the curvature of an untrained network grows, then stays."""
    values = [0.01, 0.02, 0.05, 0.1, 0.2, 0.2, 0.21, 0.2, 0.19, 0.2, 0.2, 0.2]
    assert any(map(CurvatureStop(window=2).add, values))
    stop = CurvatureStop(window=2, warm_up=4)
    assert not any(map(stop.add, values))
    assert [stop.add(value) for value in [0.3, 0.4]] == [False, True]


def test_the_grid_keeps_the_cost() -> None:
    factors = grid()
    assert Factors(alpha=1.2, beta=1.1, gamma=1.15) in factors  # those of EfficientNet
    assert all(abs(each.alpha * each.beta**2 * each.gamma**2 - 2) <= 0.2 for each in factors)
    with pytest.raises(DeclarationError, match="never scaled down"):
        grid(alphas=(0.9,))


def test_scaling_and_its_single_axes_cost_the_same() -> None:
    base = Sizes3(depth=1, width=8, resolution=8)
    assert scale(base, Factors(alpha=1.2, beta=1.1, gamma=1.15), 0) == base
    assert scale(base, Factors(alpha=1.4, beta=1.1, gamma=1.1), 4) == Sizes3(depth=4, width=12, resolution=12)
    for axis in ("depth", "width", "resolution"):
        assert single_axis(axis).cost == pytest.approx(2)
    with pytest.raises(DeclarationError, match="no axis"):
        single_axis("height")


def test_a_network_grows_to_the_flops_that_are_asked_for() -> None:
    base = Sizes3(depth=2, width=32, resolution=16)

    def flops_of(size: Sizes3) -> float:
        return float(size.depth * size.width**2 * size.resolution**2)

    for factors in (Factors(alpha=1.2, beta=1.1, gamma=1.15), single_axis("width"), single_axis("resolution")):
        for phi in (0, 1, 2, 3):
            grew = grown(base, factors, flops_of(base) * 2**phi, flops_of)
            assert flops_of(grew) == pytest.approx(flops_of(base) * 2**phi, rel=0.12)
            assert grew.depth >= base.depth
    deep = grown(base, single_axis("depth"), flops_of(base) * 4, flops_of)
    assert deep == Sizes3(depth=8, width=32, resolution=16)
