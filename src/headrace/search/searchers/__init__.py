"""The catalogue of searchers: built-in ones, those of installed packages, those that a problem hands over.

A member makes a searcher of a space: a searcher's class, or a function with a `name`. A new built-in one is a file here
and a line below. Each passes `headrace.testing.searchers`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core.extensions import Catalogue

if TYPE_CHECKING:
    from headrace.search.searchers.protocol import Searcher
    from headrace.search.space import Space


class MakesSearcher(Protocol):
    """A class of searchers, or what makes one."""

    def __call__(self, space: Space, /) -> Searcher: ...


@dataclass(frozen=True)
class Maker:
    """Makes searchers of a class whose module is imported with the first of them: some bring SciPy and its solvers,
    for which a run that searches nothing would wait."""

    module: str
    name: str

    def __call__(self, space: Space) -> Searcher:
        made: Searcher = getattr(importlib.import_module(self.module), self.name)(space)
        return made


SEARCHERS: Catalogue[MakesSearcher] = Catalogue(
    "searcher",
    {
        "random": Maker(f"{__name__}.random", "RandomSearcher"),
        "hyperopt": Maker(f"{__name__}.hyperopt_tpe", "HyperoptSearcher"),
        "tpe": Maker(f"{__name__}.tpe", "TpeSearcher"),
        "gp": Maker(f"{__name__}.gp", "GaussianProcessSearcher"),
        "smac": Maker(f"{__name__}.smac", "SmacSearcher"),
        "auto": Maker(f"{__name__}.auto", "AutoSearcher"),
    },
)

__all__ = ["SEARCHERS", "Maker", "MakesSearcher", "searcher_named"]


def searcher_named(name: str) -> MakesSearcher:
    """What makes searchers of that name.

    Raises:
        DeclarationError: for an unknown name.
    """
    return SEARCHERS.named(name, where="search")
