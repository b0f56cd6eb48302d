"""What a searcher is: a function of history and random numbers, without state of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from headrace.models.space import Config
from headrace.search.trial import Trial


class Searcher(Protocol):
    """Proposes configs of the space it was made for."""

    @property
    def name(self) -> str:
        """Its name in the catalogue."""

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        """n configs to try at once, given all finished trials in order of number.

        pending: configs that were asked before and whose results are not there yet; a searcher keeps away from them.
        The same history, pending and rng state give the same configs, in any process; neither seconds nor object
        identity count. A "stopped" trial's loss is that of a lower fidelity; a "failed" one has none.
        """
