"""Pictures of architecture searches: a genotype as a graph, and the best loss so far of several strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.networks.architectures.space import ArchitectureSpace, Genotype
from headrace.networks.architectures.tabular import EDGES, PARAMETER_FREE, edge_name

#: Place of each node of a cell, and height of each edge's label.
_PLACES = ((0.0, 0.0), (1.0, 0.6), (2.0, 0.0))


def draw_genotypes(space: ArchitectureSpace, genotypes: Mapping[str, Genotype], path: Path) -> None:
    """Draw cells beside each other: nodes, and the operation of each edge; operations without weights are dashed.

    Args:
        space: Of the genotypes.
        genotypes: Title -> genotype.
        path: File to write, by its suffix.
    """
    figure, axes = _figure(len(genotypes), width=3.4, height=2.2)
    for axis, (title, genotype) in zip(axes, genotypes.items(), strict=True):
        choices = space.choices(genotype)
        for edge in EDGES:
            _draw_edge(axis, edge, str(choices[edge_name(edge)]))
        for number, (x, y) in enumerate(_PLACES):
            axis.scatter([x], [y], s=260, color="white", edgecolor="black", zorder=3)
            axis.annotate(str(number), (x, y), ha="center", va="center", zorder=4)
        rest = [f"{name} {value}" for name, value in choices.items() if not name.startswith("edge")]
        axis.set_title(f"{title}\n{', '.join(rest)}", fontsize=9)
        axis.set(xlim=(-0.3, 2.3), ylim=(-0.4, 1.0))
        axis.axis("off")
    figure.savefig(path)


def _draw_edge(axis: Any, edge: tuple[int, int], operation: str) -> None:
    if operation == "none":
        return
    (x0, y0), (x1, y1) = _PLACES[edge[0]], _PLACES[edge[1]]
    style = "--" if operation in PARAMETER_FREE else "-"
    axis.annotate(
        "", (x1, y1), (x0, y0), arrowprops={"arrowstyle": "->", "linestyle": style, "shrinkA": 9, "shrinkB": 9}
    )
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    axis.annotate(operation, middle, ha="center", va="bottom" if edge != (0, 2) else "top", fontsize=8)


def draw_curves(curves: Mapping[str, Mapping[str, Sequence[NDArray[np.float64]]]], path: Path, *, label: str) -> None:
    """Draw the mean of the best loss so far by evaluations, one panel a data set, one line a strategy.

    Args:
        curves: Data set -> strategy -> curves of equal length, one a seed.
        path: File to write, by its suffix.
        label: Of the vertical axis.
    """
    figure, axes = _figure(len(curves), width=3.0, height=2.6)
    for axis, (data_set, strategies) in zip(axes, curves.items(), strict=True):
        for name, values in strategies.items():
            mean = np.mean(np.stack(list(values)), axis=0)
            axis.plot(np.arange(1, len(mean) + 1), mean, label=name)
        axis.set_title(data_set, fontsize=9)
        axis.set_xlabel("evaluations", fontsize=8)
    axes[0].set_ylabel(label, fontsize=8)
    axes[-1].legend(fontsize=7)
    figure.savefig(path)


def _figure(panels: int, *, width: float, height: float) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, list(np.atleast_1d(figure.subplots(1, panels)))
