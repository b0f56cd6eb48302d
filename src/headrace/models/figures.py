"""Matplotlib figures without a display and without pyplot's global state, for the plots of models and studies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@contextmanager
def saved_axes(path: Path, *, width: float = 8.0, height: float = 4.5) -> Iterator[Axes]:
    """Yield axes to draw on; write the figure as a PNG when the block ends without an error.

    Args:
        path: File to write.
        width, height: Size in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})
