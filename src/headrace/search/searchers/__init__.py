"""The catalogue of searchers. A new one is a file here and a line below, and inherits the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

from headrace.search.searchers.protocol import Searcher
from headrace.search.searchers.random import RandomSearcher
from headrace.search.searchers.tpe import TpeSearcher
from headrace.search.space import Space

SEARCHERS: dict[str, Callable[[Space], Searcher]] = {
    "random": RandomSearcher,
    "tpe": TpeSearcher,
}

__all__ = ["SEARCHERS", "Searcher"]
