"""Families `mlp`, `tabm` and `tabnet` for tables: the pipeline's networks with classes, quantiles, weights, a deadline.

They need the extra `neural`, and take part in a search that names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.automl.families.protocol import Fit, Rows
from headrace.automl.task.task import Floats, Task
from headrace.models.design import Design
from headrace.models.space import Categorical, Config, Space
from headrace.networks.families.fitted import FittedNetwork
from headrace.networks.families.fitting import Fitting, Labelled, load_networks
from headrace.networks.families.spaces import Body, network_default, network_space
from headrace.networks.training.loop import Options
from headrace.networks.training.losses import Kind, Objective

_MAX_ROUNDS, _PATIENCE = 300, 16
_MAX_ROWS = 200_000


@dataclass
class FittedTableNetwork:
    """A trained network as the bytes of a safetensors file, so that an ensemble's file holds no code of PyTorch."""

    data: bytes
    rounds: int | None
    _network: FittedNetwork | None = field(default=None, repr=False, compare=False)

    def predict(self, design: Design) -> Floats:
        return self.network.predict_columns(design)

    @property
    def network(self) -> FittedNetwork:
        """The network; read from the bytes at its first use."""
        if self._network is None:
            self._network = FittedNetwork.from_bytes(self.data)
        return self._network

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "rounds": self.rounds, "_network": None}


class TableNetworks:
    """A kind of network.

    Args:
        name: "mlp", "tabm" or "tabnet".
    """

    module = "torch"

    def __init__(self, name: Body) -> None:
        self.name: str = name
        self._body = name

    def refuses(self, task: Task, n_rows: int, n_columns: int) -> str:
        return f"needs at most {_MAX_ROWS:,} rows" if n_rows > _MAX_ROWS else ""

    def space(self, task: Task) -> Space:
        own = network_space(self._body).parameters
        return Space({**own, "categories": Categorical(("codes", "both"))})

    def default(self) -> Config:
        return {**network_default(self._body), "categories": "codes"}

    def load_packages(self) -> None:
        """Import PyTorch and compute once; see `headrace.automl.families.load_packages`."""
        load_networks()

    def fit(self, train: Rows, valid: Rows | None, config: Mapping[str, Any], fit: Fit) -> FittedTableNetwork:
        objective = Objective.fit(
            _kind(fit), train.label, classes=len(fit.task.classes), levels=tuple(fit.task.quantiles)
        )
        options = Options(seed=fit.seed, deadline=fit.deadline)
        fitting = Fitting(self._body, _labelled(train), config, objective, options)
        fitting.train(
            max_rounds=fit.rounds or _MAX_ROUNDS,
            valid=_labelled(valid) if valid is not None and fit.rounds is None else None,
            patience=_PATIENCE,
        )
        return FittedTableNetwork(fitting.fitted().to_bytes(), fitting.kept_rounds)


def _labelled(rows: Rows) -> Labelled:
    return Labelled(design=rows.design, label=rows.label, weight=rows.weight)


def _kind(fit: Fit) -> Kind:
    kinds: dict[str, Kind] = {"binary": "binary", "multiclass": "multiclass", "quantile": "quantile"}
    return kinds.get(fit.task.kind, "absolute" if fit.loss == "absolute" else "squared")
