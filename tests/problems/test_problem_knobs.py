"""Fields of a problem that steer the search, monitoring and the policy: defaults, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import DeclarationError
from headrace.problems.catalogue import load_problem
from headrace.schema import Costs, Monitoring, Policy, Problem, Racing, Worth
from tests.tiny_problem import write_tiny_problem


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return load_problem(write_tiny_problem(tmp_path))


def test_the_defaults(problem: Problem) -> None:
    assert problem.policy == Policy(
        k=2, n=3, retrain_share=0.1, cooldown="7d", budget=3, budget_period="28d", escalate_after=2, pause="28d",
        repeat="7d", quality=True, drift=True, age=None, new_rows=None,
        worth=Worth(every="7d", window="28d", confidence=0.8, cost=0.04, horizon="28d"),
    )  # fmt: skip
    assert problem.racing == Racing(error=0.4, least=3)
    assert (problem.families, problem.searcher, problem.engine) == ((), "auto", "local")
    assert problem.monitoring == Monitoring(false_discovery_rate=0.01, drift_tests=None, floors={})


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (Policy, {"k": 4}, "policy: k=4 of n=3 windows"),
        (Policy, {"k": "2"}, "policy: k='2'. give a whole number, 1 or more"),
        (Policy, {"budget": 0}, "policy: budget=0. give a whole number"),
        (Policy, {"budget": True}, "policy: budget=True"),
        (Policy, {"retrain_share": 1.5}, "policy: retrain_share=1.5. give a number between 0 and 1"),
        (Policy, {"cooldown": "a week"}, "policy: cooldown: 'a week' is not a duration"),
        (Policy, {"pause": 7}, "policy: pause=7 is not a duration"),
        (Policy, {"quality": 1}, "policy: quality=1. give True or False"),
        (Policy, {"drift": None}, "policy: drift=None. give True or False"),
        (Policy, {"worth": 0.01}, r"policy: worth=0.01. give Worth\(.*None"),
        (Policy, {"age": "old"}, "policy: age: 'old' is not a duration"),
        (Policy, {"new_rows": 0}, "policy: new_rows=0. give a number above 0"),
        (Worth, {"every": "12h"}, "policy.worth: every='12h' is not of whole days"),
        (Worth, {"window": "7d", "every": "14d"}, "policy.worth: window='7d' is shorter than every='14d'"),
        (Worth, {"confidence": 1}, "policy.worth: confidence=1. give a number between 0 and 1"),
        (Worth, {"cost": -0.1}, "policy.worth: cost=-0.1. give a number above 0"),
        (Worth, {"horizon": "soon"}, "policy.worth: horizon: 'soon' is not a duration"),
        (Racing, {"error": 0.5}, "racing: error=0.5. give a number"),
        (Racing, {"least": 2}, "racing: least=2. give a whole number, 3 or more"),
        (
            Monitoring,
            {"false_discovery_rate": 0},
            "monitoring: false_discovery_rate=0. give a number between 0 and 0.5",
        ),
        (Monitoring, {"floors": {"psi": -1}}, r"monitoring: floors\['psi'\]=-1. give a number above 0"),
        (Monitoring, {"floors": 0.1}, "monitoring: floors=0.1. give"),
        (Monitoring, {"drift_tests": "ks"}, "monitoring: drift_tests='ks' is no list"),
        (Monitoring, {"drift_tests": ()}, r"monitoring: drift_tests=\(\) leaves no test"),
        (Monitoring, {"drift_tests": (object(),)}, "drift_tests: <object .*> has no name. give it an attribute `name`"),
        (Monitoring, {"performance_margin": float("nan")}, "monitoring: performance_margin=nan"),
        (Monitoring, {"window": "1 month"}, "monitoring: window: '1 month' is not a duration"),
    ],
)
def test_a_bad_value_is_one_clear_error(kind: type[Any], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        kind(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"racing": True}, r"shop: racing=True. give Racing\(\), or None"),
        ({"policy": {"k": 2}}, r"shop: policy=.* give Policy\(k=2, n=3\)"),
        ({"families": "linear"}, "shop: families='linear' is no list"),
        ({"trials": 0}, "shop: trials=0. give a whole number, 1 or more"),
        ({"margin": "small"}, "shop: margin='small'. give a number"),
    ],
)
def test_a_bad_field_of_a_problem_names_it(problem: Problem, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        replace(problem, **wrong)


def test_costs_are_checked_and_the_cheapest_threshold_is_the_default(problem: Problem) -> None:
    costs = Costs(false_positive=1, false_negative=3)
    assert costs.decision_threshold == costs.cheapest_threshold == 0.25
    assert Costs(false_positive=1, false_negative=3, threshold=0.6).decision_threshold == 0.6
    assert replace(problem, costs=costs).costs == costs
    for wrong, message in (
        ({"false_positive": 0}, "costs: false_positive=0. give a number above 0"),
        ({"threshold": 1}, "costs: threshold=1. give a number between 0 and 1"),
        ({"currency": 7}, "costs: currency=7"),
    ):
        with pytest.raises(DeclarationError, match=message):
            Costs(**{"false_positive": 1, "false_negative": 3, **wrong})  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="costs of a label that is a number"):
        replace(problem, label="amount", metric="rmse", costs=costs)
    with pytest.raises(DeclarationError, match=r"costs=5. give Costs\("):
        replace(problem, costs=5)  # type: ignore[arg-type]
