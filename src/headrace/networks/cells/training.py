"""Train the network of a genotype on a data set, and record its losses and its time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from headrace.core.errors import DataError
from headrace.networks.architectures.space import ArchitectureSpace, Genotype, Option
from headrace.networks.benchmark.table import Record
from headrace.networks.cells.data import SearchData
from headrace.networks.training.loop import Options, Trainer, train_early_stopping
from headrace.networks.training.torch_import import one_thread, require_torch

#: Rounds of a training; the weights of the best round on the validation rows are kept.
ROUNDS, PATIENCE = 25, 8


class CellTraining:
    """The network of some choices, with the data set it is trained on.

    Args:
        choices: Slot name -> option.
        data: The data set.
        seed: Of all random numbers.
    """

    def __init__(self, choices: Mapping[str, Option], data: SearchData, *, seed: int = 0) -> None:
        torch = require_torch()
        self.data = data
        self.inputs = {part: torch.from_numpy(values) for part, values in data.inputs.items()}
        self.targets = {part: torch.from_numpy(data.objective.targets(y)) for part, y in data.label.items()}
        options = Options(rate=4e-3, decay=1e-4, batch=64, seed=seed)
        self.trainer = Trainer(lambda: make_network(choices, data), len(self.inputs["train"]), options)

    def batch_loss(self, rows: Any) -> Any:
        """Return the loss of training rows."""
        outputs = self.trainer.network(self.inputs["train"][rows])
        return self.data.objective.loss(outputs, self.targets["train"][rows], None)

    def outputs(self, part: str) -> Any:
        """Return the outputs [n, 1, k] of a part."""
        torch = require_torch()
        self.trainer.network.eval()
        with torch.inference_mode(), one_thread():
            return self.trainer.network(self.inputs[part])

    def loss(self, part: str) -> float:
        """Return the loss of a part: log loss, or squared error in units of the training variance."""
        return float(self.data.objective.loss(self.outputs(part), self.targets[part], None))

    def accuracy(self, part: str) -> float:
        """Return the share of a part's rows whose class is predicted."""
        predicted = self.outputs(part)[:, 0].argmax(dim=1).numpy()
        return float((predicted == self.data.label[part]).mean())

    def train(self, *, rounds: int = ROUNDS, patience: int = PATIENCE) -> int:
        """Train with early stopping; return the best round."""
        return train_early_stopping(
            self.trainer, self.batch_loss, lambda: self.loss("valid"), max_rounds=rounds, patience=patience
        )


def make_network(choices: Mapping[str, Option], data: SearchData, operations: Any = None) -> Any:
    """Return the network of some choices for a data set; the mixed one where operations are given."""
    require_torch()
    from headrace.networks.cells.network import CellNetwork

    return CellNetwork(
        choices,
        inputs=data.inputs["train"].shape[1],
        outputs=data.objective.outputs,
        image=data.image,
        bins=_bins(int(choices.get("resolution", 0)), data),
        operations=operations,
    )


def train_genotype(
    space: ArchitectureSpace, genotype: Genotype, data: SearchData, *, seed: int = 0, rounds: int = ROUNDS
) -> Record:
    """Train the network of a genotype. A training that fails has infinite losses."""
    started = time.monotonic()
    try:
        training = CellTraining(space.choices(genotype), data, seed=seed)
        training.train(rounds=rounds)
        loss, test_loss = training.loss("valid"), training.loss("test")
    except DataError:
        loss = test_loss = float("inf")
    return Record(genotype=genotype, loss=loss, test_loss=test_loss, seconds=time.monotonic() - started)


def _bins(count: int, data: SearchData) -> list[Any] | None:
    """Return quantile bins of each column; columns of few values have fewer bins, constant ones one of width 1."""
    if count < 1 or data.image:
        return None
    found = []
    for column in data.inputs["train"].T:
        edges = np.unique(np.quantile(column, np.linspace(0, 1, count + 1)).astype(np.float32))
        found.append(edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1], dtype=np.float32))
    return found
