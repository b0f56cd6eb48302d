"""REINFORCE: the controller's gradient against finite differences, its estimates against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from headrace.networks.architectures import ArchitectureSpace, Slot
from headrace.networks.strategies import Budget, Evaluation, Reinforce, search_architecture
from headrace.networks.strategies.controller import Controller, Weights
from headrace.networks.strategies.reinforce import reinforce_gradient

ALL = list(itertools.product((0, 1), (0, 1)))
REWARD = np.array([0.1, 0.9, 0.3, 0.5])


def two_choices(seed: int = 0, scale: float = 8.0) -> Controller:
    """A controller of two slots with two options, far from uniform."""
    controller = Controller([2, 2], np.random.default_rng(seed), state=6)
    for value in controller.weights.values():
        value *= scale
    return controller


def numeric_gradient(controller: Controller, function) -> Weights:
    """Central differences of a function of the weights."""
    result = {}
    for name, value in controller.weights.items():
        result[name] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            kept = value[index]
            value[index] = kept + 1e-6
            above = function()
            value[index] = kept - 1e-6
            result[name][index] = (above - function()) / 2e-6
            value[index] = kept
    return result


def test_log_probabilities_sum_to_one() -> None:
    controller = Controller([2, 3, 4], np.random.default_rng(1))
    genotypes = list(itertools.product(range(2), range(3), range(4)))
    assert np.exp(controller.log_probabilities(genotypes)).sum() == pytest.approx(1)


def test_samples_follow_the_probabilities() -> None:
    controller = two_choices()
    drawn = controller.sample(20_000, np.random.default_rng(0))
    shares = [np.mean([genotype == each for genotype in drawn]) for each in ALL]
    np.testing.assert_allclose(shares, np.exp(controller.log_probabilities(ALL)), atol=0.015)


def test_gradient_against_finite_differences() -> None:
    controller = Controller([2, 3, 2], np.random.default_rng(3), state=5)
    for value in controller.weights.values():
        value *= 10
    genotypes, coefficients = [(0, 2, 1), (1, 0, 0), (1, 1, 1)], np.array([0.5, -2.0, 1.0])
    expected = numeric_gradient(controller, lambda: float(coefficients @ controller.log_probabilities(genotypes)))
    gradient = controller.gradient(genotypes, coefficients)
    for name, value in expected.items():
        np.testing.assert_allclose(gradient[name], value, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("limited", [False, True])
def test_estimates_against_enumeration(limited: bool) -> None:
    """The expectation of the estimate, over all batches of two draws, is the gradient of the expected reward."""
    controller = two_choices()
    feasible = np.array([True, True, True, not limited])

    def expected_reward() -> float:
        p = np.exp(controller.log_probabilities(ALL)) * feasible
        return float(p @ REWARD / p.sum())

    exact = numeric_gradient(controller, expected_reward)
    p = np.exp(controller.log_probabilities(ALL)) * feasible
    p /= p.sum()
    mean = {name: np.zeros_like(value) for name, value in exact.items()}
    for i, j in itertools.product(np.flatnonzero(feasible), repeat=2):
        estimate = reinforce_gradient(controller, [ALL[i], ALL[j]], REWARD[[i, j]] - 0.7)
        for name, value in estimate.items():
            mean[name] += p[i] * p[j] * value
    for name, value in exact.items():
        np.testing.assert_allclose(mean[name], value, atol=1e-7, err_msg=name)


def test_without_correction_the_gradient_also_follows_feasibility() -> None:
    """All rewards are equal, so that nothing is to be learnt; a plain REINFORCE moves towards the feasible ones."""
    controller = two_choices()
    drawn = [genotype for genotype in controller.sample(4_000, np.random.default_rng(0)) if genotype != (1, 1)]
    equal = np.full(len(drawn), 0.5)
    assert max(np.abs(v).max() for v in reinforce_gradient(controller, drawn, equal).values()) < 1e-12
    assert max(np.abs(v).max() for v in reinforce_gradient(controller, drawn, equal, correct=False).values()) > 1e-3


def test_finds_the_best_feasible_genotype_of_a_two_choice_space() -> None:
    """And its controller concentrates there: the infeasible one has the best reward."""
    space = ArchitectureSpace(name="two", slots=tuple(Slot(name=f"s{i}", options=(0, 1)) for i in range(2)))
    losses = {(0, 0): 0.9, (0, 1): 0.1, (1, 0): 0.7, (1, 1): 0.0}
    budget = Budget(evaluations=3, cost=lambda genotype: float(sum(genotype)), cost_limit=1)
    result = search_architecture(
        Reinforce(), space, lambda genotype: Evaluation(loss=losses[genotype]), budget, np.random.default_rng(0)
    )
    assert result.best == (0, 1)
