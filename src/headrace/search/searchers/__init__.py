"""The catalogue of searchers. A new one is a file here and a line below, and inherits the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

from headrace.core.errors import DeclarationError
from headrace.search.searchers.auto import AutoSearcher
from headrace.search.searchers.gp import GaussianProcessSearcher
from headrace.search.searchers.hyperopt_tpe import HyperoptSearcher
from headrace.search.searchers.protocol import Searcher
from headrace.search.searchers.random import RandomSearcher
from headrace.search.searchers.smac import SmacSearcher
from headrace.search.searchers.tpe import TpeSearcher
from headrace.search.space import Space

SEARCHERS: dict[str, Callable[[Space], Searcher]] = {
    "random": RandomSearcher,
    "hyperopt": HyperoptSearcher,
    "tpe": TpeSearcher,
    "gp": GaussianProcessSearcher,
    "smac": SmacSearcher,
    "auto": AutoSearcher,
}

__all__ = ["SEARCHERS", "Searcher", "searcher_named"]


def searcher_named(name: str) -> Callable[[Space], Searcher]:
    """A searcher of the catalogue."""
    try:
        return SEARCHERS[name]
    except KeyError:
        raise DeclarationError(f"no searcher {name!r}", where="search", found=SEARCHERS) from None
