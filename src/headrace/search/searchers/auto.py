"""TPE while there is little to learn from, then the Gaussian process.

By measurement (ADR 0006): with few trials TPE is ahead, for a process in many dimensions first looks where it knows
nothing; with many the process ends lower. Which of the two is asked follows from how many trials there are.
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
    """`tpe` for the first `early` trials, those that are pending among them, `gp` for the others."""

    name = "auto"

    def __init__(self, space: Space, *, early: int = 30) -> None:
        self.space = space
        self.early = early
        self._first = TpeSearcher(space)

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        begun = len(history) + len(pending)
        first = self._first.ask(history, min(n, max(self.early - begun, 0)), rng, pending)
        late = n - len(first)
        return [*first, *(self._then.ask(history, late, rng, [*pending, *first]) if late else [])]

    @cached_property
    def _then(self) -> GaussianProcessSearcher:
        """Made when it is asked first: most studies of a pipeline end before."""
        from headrace.search.searchers.gp import GaussianProcessSearcher

        return GaussianProcessSearcher(self.space)
