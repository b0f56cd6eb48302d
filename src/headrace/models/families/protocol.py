"""Protocols of model families: a family, its incremental learner, and its fitted model."""

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
    from headrace.models.cache import FoldCache

Label = NDArray[np.float64]
#: Indices of rows.
Rows = NDArray[np.int64]


class Fitted(Protocol):
    """A trained model. `rounds` is its number of boosting rounds, None where the family has none."""

    @property
    def rounds(self) -> int | None: ...

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        """Predict [n]: the probability of a true label, or a number."""

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Return the Shapley values [n, d] of the raw output (log-odds or number), relative to the average row."""

    def save(self, folder: Path) -> None:
        """Write files of a safe format into an existing folder."""


class Learner(Protocol):
    """A model that is fitted round by round and measured on validation rows."""

    def step(self) -> float | None:
        """Fit one more round and return the validation loss (lower is better); None where no more can be fitted."""

    def fitted(self, rounds: int) -> Fitted:
        """Return the model after this number of rounds."""


class Family(Protocol):
    """A kind of model. It predicts a probability where `metric.binary` is set, else a number.

    A number is the statistic that minimises the metric: the mean for `rmse`, the median for `mae`, as far as the
    family can.
    """

    @property
    def name(self) -> str:
        """Name in the catalogue."""

    def space(self) -> Space:
        """Return the space of its parameters. The number of rounds is not in it: `models.rounds` finds it."""

    def default(self) -> Config:
        """Return a config of that space that does well on most problems."""

    def extra_configs(self) -> tuple[Config, ...]:
        """Return further configs of that space with which a study starts."""

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
        """Fit a model.

        Args:
            design: Rows [n, d].
            label: Labels [n].
            config: Parameters of `space()`.
            metric: What to optimise for.
            rounds: Boosting rounds, None for the family's maximum.
            seed: Of all random numbers.
            threads: Threads of the fit.
        """

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
        cache: FoldCache | None = None,
    ) -> Learner:
        """Return an incremental learner; after n rounds it equals the model of `fit(rounds=n)`.

        A family without rounds fits everything in the first step.

        Args:
            design: Rows [n, d].
            label: Labels [n].
            valid: Validation rows and labels.
            config: Parameters of `space()`.
            metric: What to measure.
            seed: Of all random numbers.
            threads: Threads of the fit.
            rows: Indices of the training rows in the design, all where None.
            cache: Cache of this design and validation set, shared by many learners. It does not change the result.
        """

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        """Return the number of rounds after which a config has made `progress`; None where the family has no rounds.

        Racing compares configs at equal progress: at equal rounds a small learning rate lags behind a large one.
        """

    def with_coarse_steps(self, config: Mapping[str, Any]) -> Config:
        """Return the config with a larger learning rate: cheaper to fit, and nearly as good for comparing configs.

        The same config where the family has no rounds.
        """

    def with_smaller_steps(self, config: Mapping[str, Any], factor: float) -> Config:
        """Return the config with a learning rate `factor` times smaller, which needs as many times more rounds.

        The same config where the family has no rounds.
        """

    def load(self, folder: Path) -> Fitted:
        """Read a model that `save` wrote. The caller has checked the folder's manifest.

        Raises:
            CorruptError: The files are not such a model.
        """
