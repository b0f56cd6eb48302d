"""Searcher `auto`: TPE for the first trials of a study, the Gaussian process for the later ones.

Measured in ADR 0006: with few trials TPE reaches lower losses, because a Gaussian process in many dimensions explores
first; with many trials the Gaussian process reaches lower losses. The number of trials decides which one proposes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from headrace.search.searchers.tpe import TpeSearcher
from headrace.search.space import Config, Space
from headrace.search.trial import Trial

if TYPE_CHECKING:
    from headrace.search.searchers.gp import GaussianProcessSearcher


class AutoSearcher:
    """Propose with `tpe` for the first `early` trials (pending ones count), with `gp` afterwards."""

    name = "auto"

    def __init__(self, space: Space, *, early: int = 30) -> None:
        self.space = space
        self.early = early
        self._tpe = TpeSearcher(space)

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        n_proposed = len(history) + len(pending)
        configs = self._tpe.ask(history, min(n, max(self.early - n_proposed, 0)), rng, pending)
        n_remaining = n - len(configs)
        return [*configs, *(self._gp.ask(history, n_remaining, rng, [*pending, *configs]) if n_remaining else [])]

    @cached_property
    def _gp(self) -> GaussianProcessSearcher:
        """Constructed at its first use: most studies of a pipeline end before it."""
        from headrace.search.searchers.gp import GaussianProcessSearcher

        return GaussianProcessSearcher(self.space)
