"""Make and train a network for a table: from rows, labels and a config to a fitted network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.models.design import Design
from headrace.networks.families.fitted import FittedNetwork
from headrace.networks.families.inputs import Arrays, Inputs
from headrace.networks.families.spaces import Body
from headrace.networks.training.loop import Options, Trainer, train_early_stopping
from headrace.networks.training.losses import Objective
from headrace.networks.training.torch_import import choose_device, one_thread, require_torch

Floats = NDArray[np.float64]

_BACKGROUND_ROWS = 16
#: Weight of the entropy of TabNet's masks in its loss.
_SPARSITY = 1e-3
#: Rows that losses of validation rows are computed on at a time.
_CHUNK = 4_096


def load_networks() -> None:
    """Import everything that a training needs, and compute once: seconds in a process that has no network yet.

    They cannot be interrupted, so a search with a time budget does this before it divides its time.

    Raises:
        UnavailableError: A package of the extra `neural` is not installed.
    """
    torch = require_torch()
    from headrace.networks.families import network  # noqa: F401  tabm, rtdl_num_embeddings

    with one_thread():
        torch.nn.functional.linear(torch.ones(2, 2), torch.ones(1, 2, requires_grad=True)).sum().backward()


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Rows with labels [n] and sample weights [n], None for equal ones."""

    design: Design
    label: Floats
    weight: Floats | None = None


class Fitting:
    """A network in training.

    Args:
        body: "mlp", "tabm" or "tabnet".
        train: Training rows.
        config: `rate`, `decay`, `blocks`, `width`, `dropout`, and where the body has them `embedding`, `bins`,
            `members`, `gamma`.
        objective: What the outputs mean.
        options: Seed and deadline.
        device: "auto", "cpu" or "cuda".

    Raises:
        DataError: TabNet is given fewer than two rows.
        UnavailableError: The extra `neural` is not installed, or a GPU is requested and there is none.
    """

    def __init__(
        self,
        body: Body,
        train: Labelled,
        config: Mapping[str, Any],
        objective: Objective,
        options: Options,
        *,
        device: str = "auto",
    ) -> None:
        require_torch()
        from headrace.networks.families.network import TableNetwork

        if body == "tabnet" and len(train.label) < 2:
            raise DataError("the normalisation of TabNet needs at least two rows", where="training rows")

        self.objective, self.device = objective, choose_device(device)
        self.inputs = Inputs.fit(train.design)
        arrays = self.inputs.transform(train.design)
        self.spec = _spec(body, self.inputs, arrays, config, objective.outputs)
        options = replace(options, rate=float(config["rate"]), decay=float(config["decay"]))
        self._tensors = self._as_tensors(arrays, train)
        self.trainer = Trainer(lambda: TableNetwork(self.spec).to(self.device), len(train.label), options)
        rows = np.random.default_rng(0).choice(len(train.label), min(_BACKGROUND_ROWS, len(train.label)), replace=False)
        self.kept_rounds = 0
        self._background = train.design.X[np.sort(rows)]

    def _as_tensors(self, arrays: Arrays, rows: Labelled) -> tuple[Any, Any, Any, Any]:
        torch = require_torch()
        weight = None if rows.weight is None else torch.from_numpy(rows.weight.astype(np.float32)).to(self.device)
        return (
            torch.from_numpy(arrays.numbers).to(self.device),
            torch.from_numpy(arrays.codes).to(self.device),
            torch.from_numpy(self.objective.targets(rows.label)).to(self.device),
            weight,
        )

    def batch_loss(self, rows: Any) -> Any:
        """Return the loss of a minibatch."""
        numbers, codes, targets, weight = self._tensors
        rows = rows.to(self.device)
        network = self.trainer.network
        outputs = network(numbers[rows], codes[rows])
        loss = self.objective.loss(outputs, targets[rows], None if weight is None else weight[rows])
        return loss + _SPARSITY * network.body.sparsity if self.spec.body == "tabnet" else loss

    def round(self) -> bool:
        """Train one round; return whether it was completed before the deadline."""
        return self.trainer.round(self.batch_loss)

    def loss_of(self, rows: Labelled) -> float:
        """Return the loss of other rows."""
        return self._loss(self._as_tensors(self.inputs.transform(rows.design), rows))

    def _loss(self, tensors: tuple[Any, Any, Any, Any]) -> float:
        torch = require_torch()
        numbers, codes, targets, weight = tensors
        total = mass = 0.0
        self.trainer.network.eval()
        with torch.inference_mode(), one_thread():
            for start in range(0, len(numbers), _CHUNK):
                some = slice(start, start + _CHUNK)
                part = None if weight is None else weight[some]
                size = float(len(numbers[some]) if part is None else part.sum())
                outputs = self.trainer.network(numbers[some], codes[some])
                total += size * float(self.objective.loss(outputs, targets[some], part))
                mass += size
        return total / mass if mass else float("inf")

    def train(self, *, max_rounds: int, valid: Labelled | None, patience: int) -> None:
        """Train all rounds, or stop early by validation rows where they are given."""
        if valid is not None:
            tensors = self._as_tensors(self.inputs.transform(valid.design), valid)
            self.kept_rounds = train_early_stopping(
                self.trainer, self.batch_loss, lambda: self._loss(tensors), max_rounds=max_rounds, patience=patience
            )
            return
        while self.trainer.rounds < max_rounds and self.round():
            pass
        self.kept_rounds = self.trainer.rounds

    def fitted(self, weights: Mapping[str, Any] | None = None, rounds: int | None = None) -> FittedNetwork:
        """Return the network with these weights, those of now where None."""
        chosen = self.trainer.weights() if weights is None else weights
        return FittedNetwork(
            spec=self.spec.to_json(),
            inputs=self.inputs,
            objective=self.objective,
            weights={name: value.cpu().numpy() for name, value in chosen.items()},
            trained_rounds=self.kept_rounds if rounds is None else rounds,
            background=self._background,
        )


def _spec(body: Body, inputs: Inputs, arrays: Arrays, config: Mapping[str, Any], outputs: int) -> Any:
    from headrace.networks.families.network import NetworkSpec

    embedding = str(config.get("embedding", "none"))
    own = {name: config[name] for name in ("blocks", "width", "dropout", "members", "gamma") if name in config}
    edges = inputs.bins(arrays, int(config.get("bins", 16))) if embedding == "piecewise" else []
    return NetworkSpec(
        body=body,
        numbers=len(inputs.numeric),
        indicators=len(inputs.missing),
        levels=inputs.levels,
        outputs=outputs,
        embedding=embedding,
        bins=tuple(tuple(float(edge) for edge in column) for column in edges),
        **own,
    )
