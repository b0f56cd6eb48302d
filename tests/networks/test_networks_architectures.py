"""Spaces of architectures: genotypes, neighbours, restriction, and the cost of a network against its obvious count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DeclarationError
from headrace.networks.architectures import (
    ArchitectureSpace,
    Cost,
    Sizes,
    Slot,
    cost_of,
    image_space,
    tabular_space,
)

SPACES = {"tabular": tabular_space(), "image": image_space()}


def test_sizes_of_the_spaces() -> None:
    assert len(SPACES["tabular"]) == 7**3 * 4 * 3 * 4
    assert len(SPACES["image"]) == 6**3 * 4 * 3
    assert len(set(SPACES["image"])) == len(SPACES["image"])


@pytest.mark.parametrize("name", SPACES)
@given(seed=st.integers(0, 1000))
def test_neighbours_differ_in_one_slot_and_are_mutual(name: str, seed: int) -> None:
    space, rng = SPACES[name], np.random.default_rng(seed)
    genotype = space.sample(rng)
    for other in space.neighbours(genotype):
        assert space.require(other) == other
        assert sum(a != b for a, b in zip(genotype, other, strict=True)) == 1
        assert genotype in space.neighbours(other)
    assert space.mutate(genotype, rng) in space.neighbours(genotype)


@given(seed=st.integers(0, 1000))
def test_choices_and_genotype_are_inverse(seed: int) -> None:
    space = SPACES["tabular"]
    genotype = space.sample(np.random.default_rng(seed))
    assert space.genotype(space.choices(genotype)) == genotype


def test_restriction_keeps_order_and_other_slots() -> None:
    small = SPACES["image"].restrict({"width": (8,), "depth": (1, 2)})
    assert len(small) == 6**3 * 2
    assert small.choices(small.sample(np.random.default_rng(0)))["width"] == 8
    with pytest.raises(DeclarationError, match="no slot"):
        SPACES["image"].restrict({"height": (1,)})
    with pytest.raises(DeclarationError, match="no slot"):
        SPACES["image"].restrict({"width": (7,)})


def test_wrong_declarations() -> None:
    with pytest.raises(DeclarationError, match="no options"):
        Slot(name="a", options=())
    with pytest.raises(DeclarationError, match="twice"):
        Slot(name="a", options=(1, 1))
    with pytest.raises(DeclarationError, match="names of their own"):
        ArchitectureSpace(name="x", slots=(Slot(name="a", options=(1,)), Slot(name="a", options=(2,))))
    with pytest.raises(DeclarationError, match="not a genotype"):
        SPACES["image"].choices((0, 0))
    with pytest.raises(DeclarationError, match="no option"):
        SPACES["image"].genotype({"edge 0-1": "sigmoid"})


def test_cost_of_a_linear_network_by_hand() -> None:
    """One cell of three linear edges, width 16, 5 inputs, 2 outputs."""
    space = SPACES["tabular"]
    choices = {f"edge {a}-{b}": "linear" for a, b in ((0, 1), (0, 2), (1, 2))}
    genotype = space.genotype({**choices, "width": 16, "depth": 1, "resolution": 0})
    parameters = (5 * 16 + 16) + 3 * (16 * 16 + 16) + (16 * 2 + 2)
    flops = 2 * (5 * 16 + 3 * 16 * 16 + 16 * 2)
    assert cost_of(space, genotype, Sizes(inputs=5, outputs=2)) == Cost(parameters=parameters, flops=flops)


def test_cost_grows_with_width_depth_and_resolution() -> None:
    space = SPACES["tabular"]
    base = {f"edge {a}-{b}": "glu" for a, b in ((0, 1), (0, 2), (1, 2))} | {"width": 32, "depth": 1, "resolution": 4}
    cost = cost_of(space, space.genotype(base), Sizes(inputs=5, outputs=2))
    for slot, larger in (("width", 64), ("depth", 2), ("resolution", 8)):
        other = cost_of(space, space.genotype({**base, slot: larger}), Sizes(inputs=5, outputs=2))
        assert other.parameters > cost.parameters
        assert other.flops > cost.flops
