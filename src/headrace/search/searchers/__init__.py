"""The catalogue of searchers. A new one is a file here and a line below, and inherits the conformance suite."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core.errors import DeclarationError

if TYPE_CHECKING:
    from headrace.search.searchers.protocol import Searcher
    from headrace.search.space import Space


@dataclass(frozen=True)
class Maker:
    """Makes searchers of a class whose module is imported with the first of them: some bring SciPy and its solvers,
    for which a run that searches nothing would wait."""

    module: str
    name: str

    def __call__(self, space: Space) -> Searcher:
        made: Searcher = getattr(importlib.import_module(self.module), self.name)(space)
        return made


SEARCHERS: dict[str, Maker] = {
    "random": Maker(f"{__name__}.random", "RandomSearcher"),
    "hyperopt": Maker(f"{__name__}.hyperopt_tpe", "HyperoptSearcher"),
    "tpe": Maker(f"{__name__}.tpe", "TpeSearcher"),
    "gp": Maker(f"{__name__}.gp", "GaussianProcessSearcher"),
    "smac": Maker(f"{__name__}.smac", "SmacSearcher"),
    "auto": Maker(f"{__name__}.auto", "AutoSearcher"),
}

__all__ = ["SEARCHERS", "Maker", "searcher_named"]


def searcher_named(name: str) -> Maker:
    """A searcher of the catalogue."""
    try:
        return SEARCHERS[name]
    except KeyError:
        raise DeclarationError(f"no searcher {name!r}", where="search", found=SEARCHERS) from None
