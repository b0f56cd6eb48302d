"""Architecture search: each strategy against random search at equal cost, DARTS and its collapse, compound scaling.

    make study-nas [QUICK=1]

Strategies are replayed over tables of trained genotypes (benchmarks.nas_tables), 30 seeds each, paired with random
search: the same budget of evaluations; and once more under a limit on parameters, half of the space. What is compared
is the test loss of the genotype of least validation loss. DARTS, compound scaling and the best network of the digits
are trained live; each result is kept in .headrace/bench/nas-live.jsonl, so that a run that is cut off goes on. QUICK=1
repeats the live parts less often.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nas_scaling import scaling_rows
from benchmarks.nas_tables import KEPT, ROUNDS, sizes_of, small_space, table_of
from benchmarks.results import Goal, Row, publish
from headrace.networks.architectures import cost_of
from headrace.networks.benchmark import ArchitectureTable
from headrace.networks.pictures import draw_curves, draw_genotypes
from headrace.networks.strategies import STRATEGIES, Budget, SearchResult, search_architecture

QUICK = bool(os.environ.get("QUICK"))
COMMAND = "make study-nas" + (" QUICK=1" if QUICK else "")
SEEDS, EVALUATIONS = 30, 30
REPEATS = 2 if QUICK else 30
IMAGES = Path(__file__).parent.parent / "docs" / "images"
LIVE = KEPT / "nas-live.jsonl"


def replay(table: ArchitectureTable, name: str, seed: int, limit: float | None) -> SearchResult:
    """Replay one search."""
    sizes = sizes_of(table.data_set)
    costs = {genotype: float(cost_of(table.space, genotype, sizes).parameters) for genotype in table.space}
    budget = Budget(evaluations=EVALUATIONS)
    if limit is not None:
        budget = Budget(
            evaluations=EVALUATIONS, cost=costs.__getitem__, cost_limit=float(np.quantile(list(costs.values()), limit))
        )
    return search_architecture(STRATEGIES[name](), table.space, table, budget, np.random.default_rng(seed))


def replays(table: ArchitectureTable, limit: float | None) -> dict[str, list[SearchResult]]:
    """Replay all strategies, each with all seeds."""
    return {name: [replay(table, name, seed, limit) for seed in range(SEEDS)] for name in STRATEGIES}


def compare(table: ArchitectureTable, found: dict[str, list[SearchResult]], suffix: str, limited: bool) -> list[Row]:
    """Compare each strategy with random search, in standard deviations of the table's losses; below 0 is better."""
    rows = []
    finite = [record for record in table.records.values() if np.isfinite(record.loss + record.test_loss)]
    for part, value in (("validation", lambda r: r.loss), ("test", lambda r: r.test_loss)):
        spread = float(np.std([value(record) for record in finite]))
        best = {
            name: np.array([value(table.record(result.best)) for result in results]) for name, results in found.items()
        }
        for name in STRATEGIES:
            if name == "random":
                continue
            difference = (best[name] - best["random"]) / spread
            half = 1.96 * difference.std(ddof=1) / np.sqrt(SEEDS)
            rows.append(
                Row(
                    metric=f"{table.data_set}{suffix}: {name} minus random, {part} loss, "
                    f"{difference.mean() - half:.2f} to {difference.mean() + half:.2f}",
                    value=float(difference.mean()),
                    unit="sd of the table",
                    goal=Goal(op="<=", value=half)
                    if name == "reinforce" and limited and part == "validation"
                    else None,
                    command=COMMAND,
                )
            )
    return rows


def kept(key: str, compute: Callable[[], Any]) -> Any:
    """Return a live result of an earlier run, or compute and keep it."""
    lines = [json.loads(line) for line in LIVE.read_text().splitlines()] if LIVE.exists() else []
    known = {line["key"]: line["value"] for line in lines}
    if key not in known:
        known[key] = compute()
        LIVE.parent.mkdir(parents=True, exist_ok=True)
        with LIVE.open("a") as file:
            file.write(json.dumps({"key": key, "value": known[key]}) + "\n")
    return known[key]


def darts(name: str, order: int, guard: bool, seed: int) -> dict[str, Any]:
    """Search by DARTS, and train what it found."""
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.cells.training import train_genotype
    from headrace.networks.gradient_search.guard import collapsed
    from headrace.networks.gradient_search.search import GradientOptions, gradient_search

    space, data = small_space(name), load_search_data(name)
    fixed = {slot.name: slot.options[0] for slot in space.slots if not slot.name.startswith("edge")}
    steps = 100 if QUICK else 240
    options = GradientOptions(order=2 if order == 2 else 1, steps=steps, guard=guard, architecture_rate=0.05)
    result = gradient_search(space, data, fixed, options, seed=seed)
    record = train_genotype(space, result.genotype, data, rounds=ROUNDS[name])
    return {
        "genotype": list(result.genotype),
        "collapsed": collapsed(space, result.genotype),
        "stopped_at": result.stopped_at,
        "seconds": result.seconds,
        "test_loss": record.test_loss,
    }


def darts_rows(name: str) -> list[Row]:
    """Return how often DARTS collapses, with and without the guard, and what its genotypes are worth."""
    rows, table = [], table_of(name)
    spread = float(np.std([record.test_loss for record in table.records.values()]))
    middle = float(np.median([record.test_loss for record in table.records.values()]))
    for order, guard in ((1, True), (1, False), (2, True)):
        if order == 2 and QUICK and name == "digits":
            continue
        found = [
            kept(f"darts at 0.05 {name} {order} {guard} {seed} {QUICK}", partial(darts, name, order, guard, seed))
            for seed in range(REPEATS)
        ]
        words = f"{name}: DARTS, order {order}, {'with' if guard else 'without'} guard"
        collapses = sum(each["collapsed"] for each in found)
        rows += [
            Row(
                metric=f"{words}: collapses of {REPEATS}",
                value=collapses,
                unit="runs",
                goal=Goal(op="<=", value=0) if guard else None,
                command=COMMAND,
            ),
            Row(
                metric=f"{words}: test loss minus the median genotype's",
                value=float(np.mean([(each["test_loss"] - middle) / spread for each in found])),
                unit="sd of the table",
                command=COMMAND,
            ),
        ]
    return rows


def digits_accuracy(seed: int) -> float:
    """Train the wide network of the best operations of the digits' table; return its test accuracy."""
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.cells.training import CellTraining

    table = table_of("digits")
    best = min(table.records.values(), key=lambda record: record.loss)
    choices = {**table.space.choices(best.genotype), "width": 32, "depth": 2}
    training = CellTraining(choices, load_search_data("digits", seed=seed), seed=seed)
    training.train(rounds=12 if QUICK else 60, patience=10)
    return training.accuracy("test")


def main() -> None:
    """Run all parts, publish the rows, draw the pictures."""
    rows: list[Row] = []
    curves: dict[str, dict[str, list[Any]]] = {}
    for name in ROUNDS:
        table = table_of(name)
        for limit, suffix in ((None, ""), (0.5, ", half of the parameters")):
            found = replays(table, limit)
            rows += compare(table, found, suffix, limit is not None)
            if limit is None:
                curves[name] = {key: [np.array(each.curve()) for each in values] for key, values in found.items()}
                curves[name] = {key: [_padded(curve) for curve in values] for key, values in curves[name].items()}
    draw_curves(curves, IMAGES / "nas-curves.svg", label="least validation loss")
    for name in ("digits", "wine"):
        table = table_of(name)
        ranked = sorted(table.records.values(), key=lambda record: record.loss)
        drawn = {"best": ranked[0].genotype, "median": ranked[len(ranked) // 2].genotype, "worst": ranked[-1].genotype}
        draw_genotypes(table.space, drawn, IMAGES / f"nas-{name}.svg")
    for name in ("digits", "wine"):
        rows += darts_rows(name)
    rows += scaling_rows(kept, COMMAND, seeds=min(REPEATS, 5))
    accuracies = [kept(f"digits {seed} {QUICK}", partial(digits_accuracy, seed)) for seed in range(REPEATS)]
    rows.append(
        Row(
            metric=f"digits: accuracy of the best cell, width 32, depth 2, mean of {REPEATS} splits",
            value=float(np.mean(accuracies)),
            unit="share",
            goal=Goal(op=">=", value=0.99),
            command=COMMAND,
        )
    )
    publish("nas", "Architecture search", rows, NOTE)


def _padded(curve: Any) -> Any:
    """A search that ended early, because it only repeated itself, keeps its last value."""
    return np.concatenate([curve, np.full(EVALUATIONS - len(curve), curve[-1])])


NOTE = """
Each table holds 125 genotypes of one data set, each trained once for a few rounds. A strategy is replayed with 30
seeds and 30 evaluations, paired with random search; a difference below 0 favours the strategy, the interval is at 95
%. With half of the parameters, genotypes over the median of parameters are infeasible. Searches see the validation
loss. The goal of REINFORCE is not to be worse than random search: a mean difference of at most half an interval.
DARTS searches on the training rows alone; its genotype is then trained like those of the table. Compound scaling
grows the network of the best genotype to 2^phi times its FLOPs by factors that were chosen on the validation rows
after one step; a single axis grows it to the same FLOPs. Losses are means of five trainings. With QUICK=1 all live
parts run twice: those rows show that the parts work, and decide nothing.
"""

if __name__ == "__main__":
    main()
