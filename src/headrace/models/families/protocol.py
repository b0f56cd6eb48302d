"""What a model family is, and what it returns when it has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.evaluate.metrics import Metric
from headrace.models.design import Design, Predictions
from headrace.models.space import Config, Space

if TYPE_CHECKING:
    from headrace.models.kept import Kept

Label = NDArray[np.float64]
#: Indices of rows.
Rows = NDArray[np.int64]


class Fitted(Protocol):
    """A trained model. rounds: how many it was boosted for, None where the family has no rounds."""

    @property
    def rounds(self) -> int | None: ...

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        """[n]: the probability of a true label, or a number."""

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """[n, d]: what each feature adds to each row's raw output (log-odds or number), against the average row."""

    def save(self, folder: Path) -> None:
        """Write files of a safe format into an existing folder."""


class Learner(Protocol):
    """A model that learns round by round, measured on validation rows."""

    def step(self) -> float | None:
        """Learn one more round; the loss on the validation rows after it (lower is better). None: all is learnt."""

    def fitted(self, rounds: int) -> Fitted:
        """The model as it was after so many rounds."""


class Family(Protocol):
    """A kind of model. metric.binary tells whether to learn a probability or a number.

    Of a number it learns what the metric asks for: the mean for `rmse`, the median for `mae`, or as near as it can.
    """

    @property
    def name(self) -> str:
        """Its name in the catalogue."""

    def space(self) -> Space:
        """What a study explores. Rounds are never in it: `models.rounds` finds them."""

    def default(self) -> Config:
        """A config of that space that is known to do well."""

    def others(self) -> tuple[Config, ...]:
        """Further configs of that space that a study tries first, where the default is not right for all problems."""

    def fit(
        self,
        design: Design,
        label: Label,
        config: Mapping[str, Any],
        *,
        metric: Metric,
        rounds: int | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Fitted:
        """Learn `rounds` rounds; None: as many as the family learns at most."""

    def learner(
        self,
        design: Design,
        label: Label,
        valid: tuple[Design, Label],
        config: Mapping[str, Any],
        *,
        metric: Metric,
        seed: int = 0,
        threads: int = 1,
        rows: Rows | None = None,
        kept: Kept | None = None,
    ) -> Learner:
        """What learns from the design and is measured on `valid`; a family without rounds learns all in the first.

        rows: learn from these of the design only. kept: of this design and valid, where they are learnt from again and
        again; the result is the same with and without it. What is fitted after n rounds is what `fit` makes of n.
        """

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        """After how many rounds any config has come `progress` far; None where the family has no rounds.

        Configs are compared at equal progress, for slow learners are behind fast ones at equal rounds.
        """

    def coarse(self, config: Mapping[str, Any]) -> Config:
        """The config in fewer and larger steps: cheaper to fit, and for telling configs apart nearly as good.

        Itself where the family has no steps.
        """

    def slower(self, config: Mapping[str, Any], factor: float) -> Config:
        """The config in steps that are `factor` times smaller, so that it learns as much in so many times more rounds.

        Itself where the family has no steps.
        """

    def load(self, folder: Path) -> Fitted:
        """Read what `save` wrote; the caller has checked the folder's manifest. CorruptError where it cannot be."""
