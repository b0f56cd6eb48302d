"""Families `mlp`, `tabm` and `tabnet` of the pipeline (`headrace.models.families`): networks as rounds of training.

They are entry points of Headrace's own package, so that the catalogue imports this room only for their names. A round
is one pass over the rows, or a part of it (`training.loop`); the number of rounds is chosen on folds as for trees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import DeclarationError
from headrace.evaluate.metrics import Metric
from headrace.models.design import Design
from headrace.models.families.protocol import Label, Rows
from headrace.models.space import Config, Space
from headrace.networks.families.fitted import FittedNetwork
from headrace.networks.families.fitting import Fitting, Labelled
from headrace.networks.families.spaces import BODIES, Body, network_default, network_space
from headrace.networks.training.loop import Options
from headrace.networks.training.losses import Kind, Objective

if TYPE_CHECKING:
    from headrace.models.cache import FoldCache

#: Largest number of rounds.
MAX_ROUNDS = 200
#: Rounds after which a network with a learning rate of 0.002 has made progress 1.
_ROUNDS_OF_PROGRESS = 20
#: Largest learning rate of `with_coarse_steps`.
_MAX_COARSE_RATE = 8e-3


class NetworkFamily:
    """A kind of network.

    Args:
        name: "mlp", "tabm" or "tabnet".
    """

    #: Packages that it needs, and the extra that has them.
    module = "torch"
    extra = "neural"
    #: A level is a row of a matrix of vectors: 100,000 of 50 numbers take 20 MB.
    max_categories = 100_000

    def __init__(self, name: Body) -> None:
        self.name = name

    def space(self) -> Space:
        return network_space(self.name)

    def default(self) -> Config:
        return network_default(self.name)

    def extra_configs(self) -> tuple[Config, ...]:
        return ()

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
    ) -> FittedNetwork:
        """Fit on one thread, whatever `threads`: so the result does not depend on it."""
        fitting = self._fitting(design, label, config, metric, seed)
        fitting.train(max_rounds=rounds or MAX_ROUNDS, valid=None, patience=MAX_ROUNDS)
        return fitting.fitted()

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
    ) -> NetworkLearner:
        train = (design, label) if rows is None else (design.rows(rows), label[rows])
        return NetworkLearner(self._fitting(*train, config, metric, seed), valid, metric)

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        """Progress is the sum of the learning rates so far."""
        return math.ceil(progress * _ROUNDS_OF_PROGRESS * 2e-3 / float(config["rate"]))

    def with_coarse_steps(self, config: Mapping[str, Any]) -> Config:
        rate = float(config["rate"])
        return {**config, "rate": max(rate, min(2 * rate, _MAX_COARSE_RATE))}

    def with_smaller_steps(self, config: Mapping[str, Any], factor: float) -> Config:
        return {**config, "rate": float(config["rate"]) / factor}

    def load(self, folder: Path) -> FittedNetwork:
        return FittedNetwork.load(folder)

    def _fitting(self, design: Design, label: Label, config: Mapping[str, Any], metric: Metric, seed: int) -> Fitting:
        if metric.level not in (None, 0.5):
            raise DeclarationError(f"{self.name} does not predict the quantile {metric.level:g}", where="families",
                                   fix='name families=("lightgbm",)')  # fmt: skip
        kind: Kind = "binary" if metric.binary else "absolute" if metric.name == "mae" else "squared"
        train = Labelled(design=design, label=label)
        return Fitting(self.name, train, config, Objective.fit(kind, label), Options(seed=seed))


class NetworkLearner:
    """A network that is trained round by round; the weights of every round are kept."""

    def __init__(self, fitting: Fitting, valid: tuple[Design, Label], metric: Metric) -> None:
        self._fitting, self._valid, self._metric = fitting, valid, metric
        self._weights: list[Mapping[str, Any]] = []

    def step(self) -> float | None:
        if len(self._weights) >= MAX_ROUNDS:
            return None
        self._fitting.round()
        self._weights.append(self._fitting.trainer.weights())
        predicted = self.fitted(len(self._weights)).predict(self._valid[0])
        return self._metric.loss(self._valid[1], predicted)

    def fitted(self, rounds: int) -> FittedNetwork:
        at = min(rounds, len(self._weights))
        return self._fitting.fitted(self._weights[at - 1], at)


MLP, TABM, TABNET = (NetworkFamily(name) for name in BODIES)
