"""Compound scaling beside single axes at equal FLOPs, on the digits and five tables; a part of study_nas.

The base network of a data set has the operations of its best genotype. Factors are chosen on the validation rows after
one step from a grid that doubles the FLOPs (Tan & Le, 2019); then the network grows to 2^phi times the FLOPs of the
base, by the factors or along one axis alone, and its loss on the test rows is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.nas_tables import ROUNDS, sizes_of, table_of
from benchmarks.results import Goal, Row
from headrace.networks.architectures import Sizes
from headrace.networks.architectures.cost import Cost, choices_cost
from headrace.networks.scaling import Factors, Sizes3, grid, grown, single_axis

AXES = ("depth", "width", "resolution")
#: Steps after which networks are compared.
PHIS = (1, 2, 3, 4)
#: Sizes of the base network: of images, of tables.
IMAGE_BASE = Sizes3(depth=1, width=4, resolution=8)
TABLE_BASE = Sizes3(depth=1, width=16, resolution=4)
#: Steps after which the factors are chosen, by the mean of the validation losses.
CHOSEN_AT = (1,)
#: Sizes are whole numbers: factors whose FLOPs after a step are further from twice those of the base are left out.
TOLERANCE = 0.15

Kept = Callable[[str, Callable[[], Any]], Any]


def edges_of(name: str) -> dict[str, Any]:
    """Return the operations of the best genotype of a data set's table, by validation loss."""
    table = table_of(name)
    best = min(table.records.values(), key=lambda record: record.loss)
    return {slot: option for slot, option in table.space.choices(best.genotype).items() if slot.startswith("edge")}


def cost_at(name: str, edges: Mapping[str, Any], size: Sizes3) -> Cost:
    """Return the cost of a data set's network of some sizes."""
    sizes = sizes_of(name)
    if sizes.side > 1:
        sizes = Sizes(inputs=1, outputs=sizes.outputs, side=size.resolution)
        return choices_cost({**edges, "width": size.width, "depth": size.depth}, sizes)
    return choices_cost({**edges, "width": size.width, "depth": size.depth, "resolution": size.resolution}, sizes)


def losses(name: str, edges: dict[str, Any], size: Sizes3, seed: int) -> list[float]:
    """Train a data set's network of some sizes; return its losses on the validation and the test rows."""
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.cells.training import CellTraining

    image = name == "digits"
    data = load_search_data(name, seed=seed, side=size.resolution) if image else load_search_data(name, seed=seed)
    choices = {**edges, "width": size.width, "depth": size.depth}
    training = CellTraining(choices if image else {**choices, "resolution": size.resolution}, data, seed=seed)
    training.train(rounds=2 * ROUNDS[name])
    return [training.loss("valid"), training.loss("test")]


def scaled(name: str, kept: Kept, command: str, *, seeds: int) -> tuple[list[Row], dict[str, list[bool]]]:
    """Scale one data set's network.

    Args:
        name: The data set.
        kept: Returns a result of an earlier run, or computes and keeps it.
        command: Command of the rows.
        seeds: Trainings of each network.

    Returns:
        Its rows, and for each axis whether compound scaling has the lower mean test loss after each phi.
    """
    edges, base = edges_of(name), IMAGE_BASE if name == "digits" else TABLE_BASE
    flops = cost_at(name, edges, base).flops

    def mean(size: Sizes3, part: int) -> float:
        found = [
            kept(f"scaled {name} {size} {seed}", partial(losses, name, edges, size, seed)) for seed in range(seeds)
        ]
        return float(np.mean([each[part] for each in found]))

    def size_at(factors: Factors, phi: int) -> Sizes3:
        return grown(base, factors, flops * 2**phi, lambda size: cost_at(name, edges, size).flops)

    def doubles(factors: Factors) -> bool:
        return abs(cost_at(name, edges, size_at(factors, 1)).flops / (2 * flops) - 1) <= TOLERANCE

    factors = min(filter(doubles, grid()), key=lambda each: np.mean([mean(size_at(each, phi), 0) for phi in CHOSEN_AT]))
    ways = {"compound": factors} | {axis: single_axis(axis) for axis in AXES}
    row = partial(_row, command, name)
    rows, wins = [row(0, "base", base, cost_at(name, edges, base), mean(base, 1))], dict[str, list[bool]]()
    for phi in PHIS:
        sizes = {way: size_at(each, phi) for way, each in ways.items()}
        tests = {way: mean(size, 1) for way, size in sizes.items()}
        rows += [row(phi, way, size, cost_at(name, edges, size), tests[way]) for way, size in sizes.items()]
        for axis in AXES:
            if sizes[axis] != sizes["compound"]:  # small networks may round to the same sizes
                wins.setdefault(axis, []).append(tests["compound"] < tests[axis])
    return rows, wins


def _row(command: str, name: str, phi: int, way: str, size: Sizes3, cost: Cost, loss: float) -> Row:
    sizes = f"depth {size.depth}, width {size.width}, resolution {size.resolution}"
    return Row(
        metric=f"{name}, phi = {phi}, {way} ({sizes}; {cost.parameters:,} parameters, {cost.flops / 1e6:.3f} MFLOPs): "
        "test loss",
        value=loss, unit="", command=command,
    )  # fmt: skip


def scaling_rows(kept: Kept, command: str, *, seeds: int) -> list[Row]:
    """Return the rows of all data sets, and how often compound scaling is better than each axis."""
    rows, wins = [], {axis: list[bool]() for axis in AXES}
    for name in ROUNDS:
        own, won = scaled(name, kept, command, seeds=seeds)
        rows += own
        for axis in AXES:
            wins[axis] += won.get(axis, [])
    rows += [
        Row(metric=f"compound scaling has a lower test loss than {axis} alone, of {len(won)} data sets and steps",
            value=float(np.mean(won)), unit="of comparisons", goal=Goal(op=">=", value=0.7), command=command)
        for axis, won in wins.items()
    ]  # fmt: skip
    return rows
