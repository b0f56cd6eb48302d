"""Train a network in rounds of minibatches by AdamW, within a time budget, whatever its loss does.

A round is one pass over the rows, but at least `MIN_STEPS` and at most `MAX_STEPS` minibatches: so that rounds of small
and large tables cost alike, and early stopping has something to choose from.

A minibatch whose loss or gradient is not finite is skipped. After `MAX_SKIPPED` of them in a row the training fails
with a DataError. The last minibatch of a pass never has one row alone: the normalisations of TabNet need two.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.core.errors import DataError
from headrace.networks.training.optimiser import AdamW
from headrace.networks.training.torch_import import RandomState, one_thread, require_torch

MIN_STEPS, MAX_STEPS = 8, 64
MAX_SKIPPED = 10
#: Largest norm of a gradient.
CLIP = 1.0

#: Row positions of a minibatch -> its loss.
BatchLoss = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a training.

    Attributes:
        rate: Learning rate of AdamW (Loshchilov & Hutter, 2019).
        decay: Weight decay.
        batch: Rows of a minibatch, None for 1/16 of the rows within 32 to 256.
        seed: Of all random numbers.
        deadline: Instant of `time.monotonic` at which training ends.
    """

    rate: float = 2e-3
    decay: float = 3e-4
    batch: int | None = None
    seed: int = 0
    deadline: float = math.inf


class Trainer:
    """Trains a network round by round.

    Args:
        build: Makes the network from the random numbers of the training.
        n_rows: Training rows.
        options: Options of the training.
    """

    def __init__(self, build: Callable[[], Any], n_rows: int, options: Options) -> None:
        self._random, self.options, self.n_rows = RandomState(options.seed), options, n_rows
        with self._random.use():
            self.network = build()
        self._optimiser = AdamW(self.network.parameters(), rate=options.rate, decay=options.decay)
        self.batch = min(n_rows, options.batch or int(np.clip(2 ** round(math.log2(max(n_rows, 1) / 16)), 32, 256)))
        self.rounds = self.steps = self._skipped = 0
        self._slowest = 0.0

    def round(self, loss: BatchLoss) -> bool:
        """Train one round; return whether it was completed before the deadline.

        Raises:
            DataError: The loss was not finite in many minibatches one after another.
        """
        steps = int(np.clip(math.ceil(self.n_rows / self.batch), MIN_STEPS, MAX_STEPS))
        self.network.train()
        with one_thread(), self._random.use():
            order = self._order(steps)
            for at in range(steps):
                started = time.monotonic()
                if started + self._slowest > self.options.deadline:
                    return False
                self._step(loss, order[at])
                self._slowest = max(self._slowest * 0.9, time.monotonic() - started)
        self.rounds += 1
        return True

    def _order(self, steps: int) -> list[Any]:
        """Return the row positions of each minibatch: passes over the rows in random order, one after the other."""
        torch = require_torch()
        batches: list[Any] = []
        while len(batches) < steps:
            split = list(torch.randperm(self.n_rows).split(self.batch))
            if len(split) > 1 and len(split[-1]) == 1:
                split[-2:] = [torch.cat(split[-2:])]
            batches += split
        return batches[:steps]

    def _step(self, loss: BatchLoss, rows: Any) -> None:
        torch = require_torch()
        self._optimiser.clear_gradients()
        value = loss(rows)
        if bool(torch.isfinite(value)):
            value.backward()
            norm = self._optimiser.clip_gradients(CLIP)
            if bool(torch.isfinite(norm)):
                self._optimiser.step()
                self.steps, self._skipped = self.steps + 1, 0
                return
        self._skipped += 1
        if self._skipped >= MAX_SKIPPED:
            raise DataError(
                f"the loss of {self._skipped} minibatches one after another is not a finite number",
                where=f"training, round {self.rounds + 1}",
                fix="use a smaller learning rate, and look for extreme labels",
            )

    def weights(self) -> dict[str, Any]:
        """Return a copy of the network's weights and buffers."""
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}


def train_early_stopping(
    trainer: Trainer, loss: BatchLoss, valid_loss: Callable[[], float], *, max_rounds: int, patience: int
) -> int:
    """Train until the validation loss has not decreased for some rounds; restore the weights of the best round.

    Args:
        trainer: The training.
        loss: Loss of a minibatch.
        valid_loss: Computes the loss of the validation rows.
        max_rounds: Most rounds.
        patience: Rounds without improvement after which training ends.

    Returns:
        The best round; 0 where the deadline came before the first round ended.
    """
    best, best_round, best_weights, check_s = math.inf, 0, trainer.weights(), 0.0
    while trainer.rounds < max_rounds and trainer.rounds - best_round < patience:
        if not trainer.round(loss) or time.monotonic() + check_s > trainer.options.deadline:
            break
        started = time.monotonic()
        value = valid_loss()
        check_s = time.monotonic() - started
        if value < best:
            best, best_round, best_weights = value, trainer.rounds, trainer.weights()
    if not best_round:  # too little time for a comparison: the weights as far as they are trained
        best_weights = trainer.weights()
    trainer.network.load_state_dict(best_weights)
    return best_round
