"""What a model family is, and what it returns when it has learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

#: Called during a fit with (rounds done, loss on the validation rows so far; lower is better).
Report = Callable[[int, float], None]


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


class Family(Protocol):
    """A kind of model. metric.binary tells whether to learn a probability or a number.

    Of a number it learns what the metric asks for: the mean for `rmse`, the median for `mae`, or as near as it can.
    """

    @property
    def name(self) -> str:
        """Its name in the catalogue."""

    def space(self) -> Space:
        """What a study explores. Rounds are never in it: early stopping finds them."""

    def default(self) -> Config:
        """A config of that space that is known to do well."""

    def fit(
        self,
        design: Design,
        label: Label,
        config: Mapping[str, Any],
        *,
        metric: Metric,
        valid: tuple[Design, Label] | None = None,
        rounds: int | None = None,
        seed: int = 0,
        threads: int = 1,
        report: Report | None = None,
        rows: Rows | None = None,
        kept: Kept | None = None,
    ) -> Fitted:
        """Learn. valid: stop early on these rows, after at most `rounds`; without it, exactly `rounds` rounds.

        report: called at least once where there is `valid`; the least loss that it was told is that of what is
        returned. rows: learn from these of the design only. kept: of this design and valid, where they are fitted again
        and again; the result is the same with and without it.
        """

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        """After how many rounds any config has come `progress` far; None where the family has no rounds.

        Configs are compared at equal progress, for slow learners are behind fast ones at equal rounds.
        """

    def coarse(self, config: Mapping[str, Any]) -> Config:
        """The config in fewer and larger steps: cheaper to fit, and for telling configs apart nearly as good.

        Itself where the family has no steps.
        """

    def load(self, folder: Path) -> Fitted:
        """Read what `save` wrote; the caller has checked the folder's manifest. CorruptError where it cannot be."""
