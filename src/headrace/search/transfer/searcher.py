"""Propose configs from a study and an earlier one: one Gaussian process on both, with the study as a parameter.

Two studies of the same space on other rows are two tasks of one surrogate (Swersky, Snoek and Adams, 2013). The task is
one more parameter of the space, `study`, with the options "known" and "new". Its length scale is fitted like the
others', so the trials decide themselves how much the earlier study says about the new one:

    k((x, known), (x', new)) = k at the distance sqrt(|x - x'|^2 / l^2 + 1 / l_study^2)

With the prior's length scale the correlation of both studies is about .9. Proposals hold `study` at "new".

The earlier losses are moved to the level of the new study (`known.level_shift`). Until the two have a common finished
config, which the first configs of a study provide, the study's usual searcher proposes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.core.fingerprint import fingerprint
from headrace.search.searchers.gp import GaussianProcessSearcher
from headrace.search.searchers.protocol import Searcher
from headrace.search.space import Categorical, Config, Space
from headrace.search.transfer.known import KnownTrial, level_shift, measured_losses
from headrace.search.trial import Trial

#: The parameter that tells the studies apart. The space of a pipeline's study has one parameter beside it: `family`.
TASK = "_study"
_KNOWN, _NEW = "known", "new"


class TransferSearcher:
    """Proposes from the trials of this study and of an earlier one.

    Args:
        space: What to search.
        known: Trials of the earlier study, all of this space.
        usual: Proposes while the levels of both studies cannot be compared.
    """

    name = "transfer"

    def __init__(self, space: Space, known: Sequence[KnownTrial], usual: Searcher) -> None:
        self.space = space
        self.known = tuple(known)
        self.usual = usual
        both = Space({**space.parameters, TASK: Categorical((_KNOWN, _NEW))})
        self._gp = GaussianProcessSearcher(both, startup=1, fixed={TASK: _NEW})

    def fingerprint(self) -> Mapping[str, Any]:
        """Return what its proposals depend on besides the study: a study with other known trials is another study."""
        known = fingerprint([trial.to_json() for trial in self.known])
        return {"name": self.name, "usual": self.usual.name, "known": known}

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        shift = level_shift(self.known, history)
        if shift is None:
            return self.usual.ask(history, n, rng, pending)
        both = [*self._own(history), *self._earlier(shift, len(history))]
        proposals = self._gp.ask(both, n, rng, [{**config, TASK: _NEW} for config in pending])
        return [{key: value for key, value in config.items() if key != TASK} for config in proposals]

    def _own(self, history: Sequence[Trial]) -> list[Trial]:
        """The study's own trials, which come first: the length scales are fitted to the first nine tenths or more."""
        losses = measured_losses(history)
        return [
            _trial(number, {**trial.config, TASK: _NEW}, losses.get(trial.number))
            for number, trial in enumerate(history)
        ]

    def _earlier(self, shift: float, first: int) -> list[Trial]:
        return [
            _trial(number, {**trial.config, TASK: _KNOWN}, trial.loss + shift)
            for number, trial in enumerate(self.known, start=first)
        ]


def _trial(number: int, config: Config, loss: float | None) -> Trial:
    """A trial whose loss is used as it is: stopped ones were raised to their own study's median before."""
    return Trial(number=number, config=config, status="failed" if loss is None else "ok", loss=loss, seconds=0.0)
