"""The catalogue of searchers by name: built-in ones, those of installed packages, those that a problem declares.

A member is a factory of searchers: a class, or a function with a `name`. A new built-in searcher is one file here and
one line below. Every searcher passes `headrace.testing.searchers`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core.extensions import Catalogue

if TYPE_CHECKING:
    from headrace.search.searchers.protocol import Searcher
    from headrace.search.space import Space


class SearcherFactory(Protocol):
    """Constructs a searcher of a space: a searcher's class, or a function."""

    def __call__(self, space: Space, /) -> Searcher: ...


@dataclass(frozen=True)
class LazySearcher:
    """Construct searchers of one class, whose module is imported at the first call.

    Some searchers import SciPy's optimizers, which a run that searches nothing need not load.

    Attributes:
        module: Module that defines the class.
        name: Name of the class in that module.
    """

    module: str
    name: str

    def __call__(self, space: Space) -> Searcher:
        searcher: Searcher = getattr(importlib.import_module(self.module), self.name)(space)
        return searcher


SEARCHERS: Catalogue[SearcherFactory] = Catalogue(
    "searcher",
    {
        "random": LazySearcher(f"{__name__}.random", "RandomSearcher"),
        "hyperopt": LazySearcher(f"{__name__}.hyperopt_tpe", "HyperoptSearcher"),
        "tpe": LazySearcher(f"{__name__}.tpe", "TpeSearcher"),
        "gp": LazySearcher(f"{__name__}.gp", "GaussianProcessSearcher"),
        "smac": LazySearcher(f"{__name__}.smac", "SmacSearcher"),
        "auto": LazySearcher(f"{__name__}.auto", "AutoSearcher"),
    },
)

__all__ = ["SEARCHERS", "LazySearcher", "SearcherFactory", "get_searcher"]


def get_searcher(name: str) -> SearcherFactory:
    """Return the factory of a searcher of the catalogue.

    Raises:
        DeclarationError: No searcher has this name.
    """
    return SEARCHERS.named(name, where="search")
