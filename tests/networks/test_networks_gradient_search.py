"""DARTS: gradients against finite differences, curvature against the whole Hessian, seeds; networks of genotypes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from headrace.networks.architectures import Sizes, cost_of, image_space, tabular_space
from headrace.networks.gradient_search.guard import collapsed

pytestmark = pytest.mark.neural

FIXED = {"tabular": {"width": 16, "depth": 1, "resolution": 4}, "image": {"width": 4, "depth": 1}}
SPACES = {"tabular": tabular_space(), "image": image_space()}
SETS = {"tabular": "wine", "image": "digits"}


def small(data, rows: int = 60):
    """The data set with few training rows."""
    return replace(
        data,
        inputs={**data.inputs, "train": data.inputs["train"][:rows]},
        label={**data.label, "train": data.label["train"][:rows]},
    )


@pytest.fixture(params=SPACES)
def space_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("order", [1, 2])
def test_architecture_gradient_against_finite_differences(space_name: str, order: int) -> None:
    """In float64, each weight of the architecture moved by 1e-5, the unrolled step computed anew."""
    import torch

    from headrace.networks.cells.data import load_search_data
    from headrace.networks.gradient_search.bilevel import architecture_gradient
    from headrace.networks.gradient_search.search import GradientOptions, _Run

    torch.manual_seed(0)
    data = small(load_search_data(SETS[space_name]))
    run = _Run(SPACES[space_name], data, FIXED[space_name], GradientOptions())
    run.network.double()
    run.inputs = run.inputs.double()
    if run.targets.is_floating_point():
        run.targets = run.targets.double()
    a = torch.randn(run.a.shape, dtype=torch.float64)
    w = {name: value.detach() for name, value in run.network.named_parameters()}
    train, valid = run.halves
    xi = 0.05 if order == 2 else 0.0

    def value(a) -> float:
        weights = {name: each.clone().requires_grad_() for name, each in w.items()}
        if xi:
            gradients = torch.autograd.grad(run.loss(train, weights, a), list(weights.values()), allow_unused=True)
            weights = {
                name: each if gradient is None else each - xi * gradient
                for (name, each), gradient in zip(weights.items(), gradients, strict=True)
            }
        return float(run.loss(valid, weights, a).detach())

    gradient = architecture_gradient(
        lambda w, a: run.loss(train, w, a), lambda w, a: run.loss(valid, w, a), w, a, xi=xi
    )
    for edge, operation in [(0, 1), (1, 2), (2, 3), (2, 0)]:
        moved = torch.zeros_like(a)
        moved[edge, operation] = 1e-5
        expected = (value(a + moved) - value(a - moved)) / 2e-5
        assert float(gradient[edge, operation]) == pytest.approx(expected, rel=1e-3, abs=1e-8)


def test_second_order_differs_from_first_order() -> None:
    import torch

    from headrace.networks.gradient_search.bilevel import architecture_gradient

    w, a = {"w": torch.tensor([1.0])}, torch.tensor([2.0])
    losses = (lambda w, a: (w["w"] * a).sum() ** 2, lambda w, a: ((w["w"] - 3) * a).sum())
    first, second = (float(architecture_gradient(*losses, w, a, xi=xi)) for xi in (0.0, 0.1))
    # w' = w - 0.1 * 2 w a^2 = 1 - 0.8; d/da of (w' - 3) a = w' - 3 - 0.4 w a * a
    assert first == pytest.approx(-2)
    assert second == pytest.approx(0.2 - 3 - 0.4 * 1 * 2 * 2)


def test_dominant_eigenvalue_against_the_hessian() -> None:
    import torch

    from headrace.networks.gradient_search.bilevel import dominant_eigenvalue

    M = torch.tensor([[4.0, 1.0, 0.0], [1.0, -6.0, 0.5], [0.0, 0.5, 1.0]])
    exact = torch.linalg.eigvalsh(2 * M)
    value = dominant_eigenvalue(lambda a: a @ M @ a, torch.ones(3), steps=60)
    assert value == pytest.approx(float(exact[exact.abs().argmax()]), rel=1e-3)


@pytest.mark.parametrize("order", [1, 2])
def test_a_search_finds_a_cell_with_weights_and_repeats(space_name: str, order: int) -> None:
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.gradient_search.search import GradientOptions, gradient_search

    data = small(load_search_data(SETS[space_name]))
    options = GradientOptions(order=order, steps=8, batch=16, check_every=2)
    one, two = (gradient_search(SPACES[space_name], data, FIXED[space_name], options, seed=3) for _ in range(2))
    assert not collapsed(SPACES[space_name], one.genotype)
    np.testing.assert_array_equal(one.weights, two.weights)
    assert one.eigenvalues == two.eigenvalues
    assert len(one.eigenvalues) >= 1
    assert Counter(SPACES[space_name].choices(one.genotype).values())["skip"] <= 1


def test_parameters_of_a_network_are_those_of_the_cost_model(space_name: str) -> None:
    """All but normalisations, which the cost model counts for convolutions only."""
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.cells.training import make_network

    space, data = SPACES[space_name], load_search_data(SETS[space_name])
    rng = np.random.default_rng(0)
    for _ in range(6):
        genotype = space.sample(rng)
        choices = {**space.choices(genotype), **({"resolution": 0} if space_name == "tabular" else {})}
        network = make_network(choices, data)
        sizes = Sizes(inputs=data.inputs["train"].shape[1], outputs=data.objective.outputs, side=8 if data.image else 1)
        counted = sum(value.numel() for name, value in network.named_parameters() if "normalise" not in name)
        stem = int(choices["width"]) if data.image else 0  # two vectors of the stem's normalisation, one counted
        assert counted - stem == cost_of(space, space.genotype(choices), sizes).parameters


def test_a_genotype_is_trained(space_name: str) -> None:
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.cells.training import CellTraining, train_genotype

    space, data = SPACES[space_name], load_search_data(SETS[space_name])
    operations = ("skip", "linear", "residual") if space_name == "tabular" else ("conv_3x3", "skip", "max_pool_3x3")
    edges = dict(zip(("edge 0-1", "edge 0-2", "edge 1-2"), operations, strict=True))
    genotype = space.genotype({**FIXED[space_name], **edges})
    record = train_genotype(space, genotype, data, rounds=3)
    again = train_genotype(space, genotype, data, rounds=3)
    assert record.loss == again.loss
    untrained = CellTraining(space.choices(genotype), data)
    assert record.loss < 0.95 * untrained.loss("valid")
