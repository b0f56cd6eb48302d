"""Rows of results from runs: wins, normalised losses with intervals, times, the worth of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.automl.systems import AUTOGLUON, CHEAP, FLAML, HEADRACE, MAIN, PARTS
from benchmarks.results import Goal, Row

_DRAWS = 2_000
_GROUPS = {"random rows": ("random",), "ordered and grouped rows": ("time", "group")}
#: Goals of wins: (peer, group of tables).
_WINS = {(AUTOGLUON, "random rows"): 0.55, (AUTOGLUON, "ordered and grouped rows"): 0.6,
         (FLAML, "random rows"): 0.8, (FLAML, "ordered and grouped rows"): 0.8}  # fmt: skip

Run = Mapping[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Results:
    """Runs of one time limit by (table, fold) and system."""

    runs: Mapping[tuple[str, int], Mapping[str, Run]]
    command: str

    @classmethod
    def of(cls, runs: Sequence[Run], command: str) -> Results:
        """Arrange runs; those of cases on which Headrace was not run are left out."""
        cases: dict[tuple[str, int], dict[str, Run]] = {}
        for run in runs:
            cases.setdefault((run["table"], run["fold"]), {})[run["system"]] = run
        return cls(runs={case: found for case, found in cases.items() if HEADRACE in found}, command=command)

    def loss(self, case: tuple[str, int], system: str) -> float:
        """Return the loss; that of a constant prediction where the run failed, which counts for Headrace only."""
        run = self.runs[case][system]
        return float(run["constant_loss"] if run["loss"] is None else min(run["loss"], run["constant_loss"]))

    def normalised(self, case: tuple[str, int], system: str) -> float:
        """Return the loss where 0 is that of the best main system of the case and 1 that of a constant prediction."""
        best = min(self.loss(case, one.name) for one in MAIN if self.compared(case, one.name))
        constant = float(self.runs[case][system]["constant_loss"])
        return (self.loss(case, system) - best) / max(constant - best, 1e-12)

    def compared(self, case: tuple[str, int], system: str) -> bool:
        """Return whether a system has a run of a case that counts: a failed run of another system is left out."""
        run = self.runs[case].get(system)
        return run is not None and (run["loss"] is not None or system.startswith(HEADRACE))

    def by_table(self, system: str, other: str, modes: Sequence[str], value: Any) -> Floats:
        """Return the mean of a value over the folds that both systems have, for each table."""
        found: dict[str, list[float]] = {}
        for case, runs in self.runs.items():
            counts = self.compared(case, system) and self.compared(case, other)
            if counts and runs[system]["mode"] in modes:
                found.setdefault(case[0], []).append(value(case))
        return np.array([np.mean(values) for values in found.values()])

    def row(self, metric: str, value: float, unit: str, **facts: Any) -> Row:
        return Row(metric=metric, value=value, unit=unit, command=self.command, **facts)


def rows_of(results: Results) -> list[Row]:
    """Return all rows of the report."""
    rows = [*_wins(results), *_losses(results), *_times(results), *_cheap(results)]
    return [*rows, _failed(results)]


def _failed(results: Results) -> Row:
    failed = sum(run["loss"] is None for runs in results.runs.values() for run in runs.values())
    metric = "failed runs (of another system: left out; of Headrace: loss of a constant prediction)"
    return results.row(metric, failed, "runs")


def interval(values: Floats) -> str:
    """Return the 90 % bootstrap interval of a mean over tables, as text."""
    draws = np.random.default_rng(0).choice(values, (_DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.05, 0.95])
    return f" ({low:.3g} to {high:.3g})"


def _wins(results: Results) -> list[Row]:
    rows = []
    for group, modes in _GROUPS.items():
        for peer in (system.name for system in MAIN if not system.own):

            def gain(case: tuple[str, int], peer: str = peer) -> float:
                return results.normalised(case, peer) - results.normalised(case, HEADRACE)

            gains = results.by_table(HEADRACE, peer, modes, gain)
            if len(gains):
                won = np.where(np.abs(gains) < 1e-9, 0.5, gains > 0).astype(np.float64)
                least = _WINS.get((peer, group))
                rows.append(results.row(
                    f"{group}: Headrace beats {peer}{interval(won)}", float(won.mean()), f"of {len(won)} tables",
                    goal=None if least is None else Goal(op=">=", value=least),
                ))  # fmt: skip
    return rows


def _losses(results: Results) -> list[Row]:
    rows = []
    for group, modes in _GROUPS.items():
        for system in (one.name for one in MAIN):
            losses = results.by_table(system, HEADRACE, modes, lambda case, p=system: results.normalised(case, p))
            if len(losses):
                rows.append(results.row(f"{group}: normalised loss of {system}{interval(losses)}",
                                        float(losses.mean()), f"on {len(losses)} tables"))  # fmt: skip
    return rows


def _times(results: Results) -> list[Row]:
    rows = []
    for system in (one.name for one in MAIN):
        runs = [
            found[system] for found in results.runs.values() if system in found and found[system]["loss"] is not None
        ]
        if runs:
            fit, predict = (float(np.median([run[name] for run in runs])) for name in ("fit_s", "predict_us"))
            rows.append(results.row(f"median time to fit of {system}", fit, "s"))
            rows.append(results.row(f"median time to predict a row of {system}", predict, "us"))
    return rows


def _cheap(results: Results) -> list[Row]:
    both = [runs for runs in results.runs.values()
            if all(name in runs and runs[name]["loss"] is not None for name in (CHEAP, AUTOGLUON))]  # fmt: skip
    if not both:
        return []
    ratios = [runs[AUTOGLUON]["predict_us"] / runs[CHEAP]["predict_us"] for runs in both]
    extra = _added(results, CHEAP)
    return [
        results.row("time to predict: AutoGluon / Headrace, cost-aware (median)", float(np.median(ratios)), "x",
                    goal=Goal(op=">=", value=10)),
        results.row(f"normalised loss that cost-aware mode adds{interval(extra)}", float(extra.mean()), "",
                    goal=Goal(op="<=", value=0.01)),
    ]  # fmt: skip


def rows_of_parts(results: Results) -> list[Row]:
    """Return what each part of Headrace is worth."""
    rows = []
    for system in (one.name for one in PARTS):
        added = _added(results, system)
        if len(added):
            rows.append(results.row(f"normalised loss that {system} adds{interval(added)}", float(added.mean()),
                                    f"on {len(added)} tables"))  # fmt: skip
    return [*rows, _failed(results)]


def _added(results: Results, system: str) -> Floats:
    """Return by how much the normalised loss of a system exceeds Headrace's, for each table."""

    def more(case: tuple[str, int]) -> float:
        return results.normalised(case, system) - results.normalised(case, HEADRACE)

    return results.by_table(system, HEADRACE, ("random", "time", "group"), more)
