"""Replay searches that begin with the portfolio, on data sets that it does not know, beside random search.

    make bench-portfolio

Everything is read from the shipped matrix (`make portfolio`), so it takes seconds. A data set is left out, the first
configurations are computed from the others, and its own column of losses tells what they reach. There is no racing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.portfolio.replay import TRIALS, Replay, TableReplay
from benchmarks.results import Goal, Row, publish
from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.starts.first_configs import first_configs
from headrace.automl.starts.matrix import Matrix, shipped_matrix

COMMAND = "make bench-portfolio"
SEEDS = 10
#: Share of random search's trials within which its loss has to be reached.
SHARE = 0.25
RANDOM, WRITTEN, PORTFOLIO, WARM = "random search", "list by hand", "portfolio", "portfolio, warm start"
#: Positions of the first configurations on a data set that is left out.
Arm = Callable[[Matrix, str], list[int]]


def _written(matrix: Matrix, table: str) -> list[int]:
    return np.flatnonzero(~matrix.random).tolist()


def _starts(warm: bool) -> Arm:
    def first(matrix: Matrix, table: str) -> list[int]:
        row = matrix.tables.index(table)
        properties = matrix.properties[row] if warm else None
        configs = first_configs(matrix.without(table), tuple(TABLE_FAMILIES), properties)
        return [matrix.configs.index(config) for config in configs]

    return first


ARMS: dict[str, Arm] = {
    RANDOM: lambda matrix, table: [],
    WRITTEN: _written,
    PORTFOLIO: _starts(warm=False),
    WARM: _starts(warm=True),
}


def replays(matrix: Matrix, arms: Mapping[str, Arm] = ARMS) -> dict[str, list[list[Replay]]]:
    """Return arm -> replays by data set and seed."""
    found: dict[str, list[list[Replay]]] = {name: [] for name in arms}
    for table in matrix.tables:
        table_replay = TableReplay(matrix=matrix, table=table)
        for name, arm in arms.items():
            first = arm(matrix, table)
            found[name].append([table_replay.search(first, seed, None if first else TRIALS) for seed in range(SEEDS)])
    return found


def mean_at(replays: Sequence[Sequence[Replay]], spent: float, *, test: bool = False) -> float:
    """Return the mean loss over data sets and seeds when a cost was spent."""
    return float(np.mean([[(one.test_at if test else one.at)(spent) for one in seeds] for seeds in replays]))


def cost_to_reach(replays: Sequence[Sequence[Replay]], loss: float, *, test: bool = False) -> float:
    """Return the least cost at which the mean loss reaches a loss, in trials of random search; infinity if never."""
    grid = np.arange(0.5, 2 * TRIALS, 0.5)
    reached = [spent for spent in grid if mean_at(replays, spent, test=test) <= loss + 1e-12]
    return float(reached[0]) if reached else float("inf")


def trials_of(matrix: Matrix) -> int:
    """Return the number of trials of random search: 100, or as many as the matrix has."""
    return min(TRIALS, int(matrix.random.sum()))


def rows_of(matrix: Matrix) -> list[Row]:
    found, trials = replays(matrix), trials_of(matrix)
    limit = SHARE * trials
    target = mean_at(found[RANDOM], trials)
    rows = [_row(f"loss of {RANDOM} at {trials} trials", target, "of the median's regret")]
    for name in (*ARMS,)[1:]:
        rows.append(_row(f"loss of {name} at the CPU time of {limit:.0f} trials", mean_at(found[name], limit),
                         "of the median's regret", peer=RANDOM, peer_value=mean_at(found[RANDOM], limit)))  # fmt: skip
    for name in (*ARMS,)[1:]:
        goal = Goal(op="<=", value=limit) if name == WARM else None
        rows.append(_row(f"CPU time until {name} reaches {RANDOM}'s mean loss at {trials} trials",
                         cost_to_reach(found[name], target), "trials", goal=goal))  # fmt: skip
    for name in (*ARMS,)[1:]:
        rows.append(_row(f"searches in which {name} reaches it within {limit:.0f} trials", _share(found, name, trials),
                         "of data sets and seeds"))  # fmt: skip
    tested = mean_at(found[RANDOM], trials, test=True)
    rows.append(_row(f"test loss of {RANDOM} at {trials} trials", tested, "of the median's regret"))
    for name in (*ARMS,)[1:]:
        rows.append(_row(f"test loss of {name} at the CPU time of {limit:.0f} trials",
                         mean_at(found[name], limit, test=True), "of the median's regret"))  # fmt: skip
    for name in (*ARMS,)[1:]:
        goal = Goal(op="<=", value=limit) if name == WARM else None
        rows.append(_row(f"CPU time until {name} reaches {RANDOM}'s mean test loss at {trials} trials",
                         cost_to_reach(found[name], tested, test=True), "trials", goal=goal))  # fmt: skip
    return rows


def _share(found: Mapping[str, Sequence[Sequence[Replay]]], name: str, trials: int) -> float:
    """Return the share of searches that reach the loss of their own random search within a quarter of its cost."""
    reached = [
        one.cost_of(random.at(trials)) <= SHARE * trials
        for seeds, randoms in zip(found[name], found[RANDOM], strict=True)
        for one, random in zip(seeds, randoms, strict=True)
    ]
    return float(np.mean(reached))


def _row(metric: str, value: float, unit: str, **facts: Any) -> Row:
    return Row(metric=metric, value=value, unit=unit, command=COMMAND, **facts)


NOTE = """{tables} data sets and {configs} configurations of the shipped matrix, {seeds} seeds. Random search draws from
{random} random configurations without replacement. Each search is replayed on a data set that its first configurations
were computed without, and continues with random configurations. Loss is on a scale where 0 is the best configuration
of the matrix on the data set and 1 the median one. Of so few configurations, random search has seen nearly all after
{trials} trials, and the least cross-validated loss of all is in part luck with the rows of that data set, which nothing
learnt elsewhere can foresee: test loss is the fair comparison. Cost is CPU time; its unit is the mean trial of the
random search. Test loss is that of rows that no fold has, by the mean of the models of the folds."""


def main() -> None:
    matrix = shipped_matrix()
    note = NOTE.format(
        tables=len(matrix.tables), configs=len(matrix.configs), seeds=SEEDS, random=int(matrix.random.sum()),
        trials=trials_of(matrix),
    )  # fmt: skip
    publish("portfolio", "First configurations of AutoML", rows_of(matrix), note)


if __name__ == "__main__":
    main()
