"""Matplotlib figures without a display and without pyplot's global state, for the plots of models and studies."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class ModelFigure:
    """A picture of a model for its report, with title and caption."""

    title: str
    caption: str
    png: bytes


@contextmanager
def drawn_axes(target: IO[bytes], *, width: float = 8.0, height: float = 4.5) -> Iterator[Axes]:
    """Yield axes to draw on; write the figure as a PNG when the block ends without an error.

    Args:
        target: Binary stream to write to.
        width, height: Size in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    figure.savefig(target, format="png", dpi=130, metadata={"Software": None})


@contextmanager
def saved_axes(path: Path, *, width: float = 8.0, height: float = 4.5) -> Iterator[Axes]:
    """Yield axes as `drawn_axes`; write the PNG to a file, whose folder is created."""
    data = io.BytesIO()
    with drawn_axes(data, width=width, height=height) as axes:
        yield axes
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.getvalue())
