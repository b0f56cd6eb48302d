"""The protocol of searchers: propose configs from the history of a study and a random generator, without state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from headrace.models.space import Config
from headrace.search.trial import Trial


class Searcher(Protocol):
    """Proposes configs of one space. Constructed as `SearcherClass(space)`."""

    @property
    def name(self) -> str:
        """Name in the catalogue."""

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        """Propose the next configs of a study.

        Equal arguments give equal configs in any process; a trial's seconds must not influence them.

        Args:
            history: All finished trials, by number. The loss of a "stopped" trial is that of a lower fidelity; a
                "failed" one has no loss.
            n: Number of configs to propose; they are evaluated in parallel.
            rng: Source of randomness.
            pending: Configs that are being evaluated now; propose others.

        Returns:
            n configs of the space.
        """
