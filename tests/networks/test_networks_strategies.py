"""Every search strategy: budget, cost limit, seeds, a minimum that is easy to find; and evaluations that fail."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headrace.core.errors import DeclarationError
from headrace.networks.architectures import ArchitectureSpace, Genotype, Slot, image_space
from headrace.networks.strategies import STRATEGIES, Budget, Evaluation, search_architecture

SPACE = image_space()
TARGET = SPACE.genotype(
    {"edge 0-1": "conv_3x3", "edge 0-2": "skip", "edge 1-2": "max_pool_3x3", "width": 16, "depth": 2}
)


def distance(genotype: Genotype) -> Evaluation:
    """Slots that differ from the target's: one minimum, and every better genotype is a neighbour of a worse one."""
    return Evaluation(loss=float(sum(a != b for a, b in zip(genotype, TARGET, strict=True))), seconds=1.0)


@pytest.fixture(params=STRATEGIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def search(name: str, seed: int = 0, evaluations: int = 60, evaluate=distance, space=SPACE, **limits):
    budget = Budget(evaluations=evaluations, **limits)
    return search_architecture(STRATEGIES[name](), space, evaluate, budget, np.random.default_rng(seed))


def test_spends_its_budget_and_not_more(name: str) -> None:
    result = search(name)
    genotypes = [genotype for genotype, _ in result.history]
    assert len(genotypes) == len(set(genotypes)) == 60
    assert result.seconds == 60
    assert result.loss == result.curve()[-1] == distance(result.best).loss
    assert all(later <= earlier for earlier, later in zip(result.curve(), result.curve()[1:], strict=False))


def test_spends_network_seconds_and_not_more(name: str) -> None:
    assert search(name, seconds=12.5).seconds == 13


def test_same_seed_same_history(name: str) -> None:
    assert search(name, seed=4).history == search(name, seed=4).history
    assert search(name, seed=4).history != search(name, seed=5).history


def test_never_evaluates_over_the_cost_limit(name: str) -> None:
    cost = {genotype: float(sum(genotype)) for genotype in SPACE}
    result = search(name, cost=cost.__getitem__, cost_limit=8)
    assert len(result.history) == 60
    assert all(cost[genotype] <= 8 for genotype, _ in result.history)


def test_no_genotype_within_the_cost_limit(name: str) -> None:
    with pytest.raises(DeclarationError, match="within the cost limit"):
        search(name, cost=lambda genotype: 2.0, cost_limit=1)


def test_a_failed_training_is_a_result(name: str) -> None:
    def fails(genotype: Genotype) -> Evaluation:
        return Evaluation(loss=math.nan if genotype[0] % 2 else distance(genotype).loss)

    result = search(name, evaluate=fails)
    assert math.isfinite(result.loss)
    assert result.best[0] % 2 == 0


def test_a_space_smaller_than_the_budget_is_enumerated_or_left(name: str) -> None:
    space = ArchitectureSpace(name="tiny", slots=tuple(Slot(name=f"s{i}", options=(0, 1)) for i in range(2)))
    result = search(name, evaluate=lambda genotype: Evaluation(loss=float(sum(genotype))), space=space, evaluations=40)
    assert 1 <= len(result.history) <= 4
    assert result.best == (0, 0)


def test_strategies_that_learn_beat_random_search_where_neighbours_are_alike() -> None:
    losses = {name: np.array([search(name, seed).loss for seed in range(20)]) for name in STRATEGIES}
    for name in ("local", "evolution", "reinforce"):
        assert losses[name].mean() < losses["random"].mean()


def test_budget_is_checked() -> None:
    with pytest.raises(DeclarationError, match="at least one"):
        Budget(evaluations=0)
    with pytest.raises(DeclarationError, match="needs the cost"):
        Budget(evaluations=1, cost_limit=5)
