"""The catalogue of search strategies by name. A new one is one file here and one line below."""

from __future__ import annotations

from collections.abc import Callable

from headrace.networks.strategies.evaluator import Budget, Evaluate, Evaluation, Evaluator
from headrace.networks.strategies.evolution import RegularisedEvolution
from headrace.networks.strategies.local_search import LocalSearch
from headrace.networks.strategies.protocol import SearchResult, Strategy, search_architecture
from headrace.networks.strategies.random_search import RandomSearch
from headrace.networks.strategies.reinforce import Reinforce

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "random": RandomSearch,
    "local": LocalSearch,
    "evolution": RegularisedEvolution,
    "reinforce": Reinforce,
}

__all__ = [
    "STRATEGIES",
    "Budget",
    "Evaluate",
    "Evaluation",
    "Evaluator",
    "SearchResult",
    "Strategy",
    "search_architecture",
]
