"""Searches replayed from the matrix on a data set that their first configurations do not know.

A trial's cost is the CPU time of its fits, and that of its preparation where no earlier trial of the replay had the
same. The unit of cost is the mean trial of the random search of the same seed and data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.automl.starts.matrix import Matrix
from headrace.automl.task.task import Floats
from headrace.automl.trials.fitting import split_table_config

#: Most trials of random search.
TRIALS = 100


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A replayed search.

    Attributes:
        spent: Cost after each trial, in units [n].
        loss: Least R so far [n].
        test: R of the test loss of the configuration of least loss so far [n].
    """

    spent: Floats
    loss: Floats
    test: Floats

    def at(self, spent: float) -> float:
        """Return the least loss when this cost was spent; 1 before the first trial ended."""
        return self._value(self.loss, spent)

    def test_at(self, spent: float) -> float:
        """Return the test loss when this cost was spent."""
        return self._value(self.test, spent)

    def _value(self, values: Floats, spent: float) -> float:
        ended = int(np.searchsorted(self.spent, spent * (1 + 1e-9), side="right"))
        return float(values[ended - 1]) if ended else 1.0

    def cost_of(self, loss: float) -> float:
        """Return the cost at which a loss was reached; infinity where it was not."""
        reached = np.flatnonzero(self.loss <= loss + 1e-12)
        return float(self.spent[reached[0]]) if len(reached) else float("inf")


@dataclass(frozen=True, kw_only=True)
class TableReplay:
    """A data set of the matrix, on which searches are replayed."""

    matrix: Matrix
    table: str

    @property
    def row(self) -> int:
        return self.matrix.tables.index(self.table)

    def random_order(self, seed: int) -> list[int]:
        """Return the positions of the random configurations in the order of a random search."""
        return np.random.default_rng([seed, self.row]).permutation(np.flatnonzero(self.matrix.random)).tolist()

    def unit(self, seed: int) -> float:
        """Return the mean cost of a trial of the random search, CPU seconds."""
        order = self.random_order(seed)[:TRIALS]
        return float(self._costs(order).sum() / len(order))

    def search(self, first: Sequence[int], seed: int, trials: int | None = None) -> Replay:
        """Replay first configurations and a random search after them.

        Args:
            first: Positions of the first configurations; empty for random search.
            seed: Seed of the random search.
            trials: Trials at most.
        """
        rest = [one for one in self.random_order(seed) if one not in set(first)]
        order = [*first, *rest][:trials]
        losses = self.matrix.relative()[self.row][order]
        tests = _relative_row(self.matrix.test_losses[self.row])[order]
        best = np.minimum.accumulate(losses)
        leaders = np.maximum.accumulate(np.where(losses <= best, np.arange(len(order)), 0))
        spent = np.cumsum(self._costs(order)) / self.unit(seed)
        return Replay(spent=spent, loss=best, test=tests[leaders])

    def _costs(self, order: Sequence[int]) -> Floats:
        seconds = self.matrix.seconds[self.row][list(order)].copy()
        seen: set[Any] = set()
        for place, position in enumerate(order):
            spec = split_table_config(self.matrix.configs[position])[2]
            if spec not in seen:
                seconds[place] += self.matrix.prepare_s[self.row][position]
            seen.add(spec)
        return np.asarray(seconds)


def _relative_row(losses: Floats) -> Floats:
    """Return losses where 0 is the best and 1 the median; not limited, because test losses vary more."""
    best = np.nanmin(losses)
    spread = np.nanmedian(losses) - best
    return np.nan_to_num((losses - best) / (spread if spread > 0 else 1.0), nan=1.0)
