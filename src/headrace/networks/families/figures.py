"""Draw what a network has learned, for the report of a model: vectors of categories, and attention of TabNet."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headrace.models.design import Design
from headrace.models.figures import ModelFigure, drawn_axes

if TYPE_CHECKING:
    from headrace.networks.families.fitted import FittedNetwork

Floats = NDArray[np.float64]

#: Category columns that are drawn, those of most levels; levels that are named, the most frequent.
_MAX_COLUMNS, _NAMED = 3, 15
#: Columns and rows of the pictures of attention.
_MAX_FEATURES, _MAX_ROWS = 20, 60


def principal_plane(vectors: Floats) -> tuple[Floats, float]:
    """Project vectors on the plane of their first two principal components.

    Args:
        vectors: Vectors [levels, size], size at least 2.

    Returns:
        Positions [levels, 2], and the share of the variance that lies in the plane; 1 where there is none.
    """
    centred = vectors - vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    total = float((spread**2).sum())
    return centred @ axes[:2].T, float((spread[:2] ** 2).sum() / total) if total else 1.0


def network_figures(
    fitted: FittedNetwork, design: Design, names: Mapping[str, str], categories: Mapping[str, Sequence[str]]
) -> list[ModelFigure]:
    """Return the figures of a network.

    Args:
        fitted: The network.
        design: A sample of rows [n, d].
        names: Column of the design -> name to show.
        categories: Category column -> its texts by code.
    """
    figures = []
    by_levels = sorted(fitted.category_vectors().items(), key=lambda item: -len(item[1]))
    for position, vectors in by_levels[:_MAX_COLUMNS]:
        if len(vectors) > 3:  # that of unseen levels, and three of levels
            figures.append(_vectors(fitted, design, position, vectors, names, categories))
    if fitted.spec["body"] == "tabnet":
        figures += _attention(fitted, design, names)
    return figures


def _vectors(
    fitted: FittedNetwork, design: Design, position: int, vectors: Floats, names: Mapping[str, str],
    categories: Mapping[str, Sequence[str]],
) -> ModelFigure:  # fmt: skip
    column = design.names[position]
    codes = fitted.inputs.kept_codes[fitted.inputs.categorical.index(position)]
    places, share = principal_plane(vectors[1:])
    predicted = fitted.predict(design)
    means = np.array([_mean(predicted[design.X[:, position] == code]) for code in codes])
    texts = categories.get(column, ())

    def draw(axes: Any) -> None:
        seen = np.isfinite(means)
        axes.scatter(*places[~seen].T, s=10, c="#bbbbbb", linewidths=0)
        dots = axes.scatter(*places[seen].T, s=14, c=means[seen], cmap="coolwarm", linewidths=0)
        axes.figure.colorbar(dots, ax=axes, label="mean prediction")
        for at in range(min(_NAMED, len(codes))):
            axes.annotate(str(texts[codes[at]]) if codes[at] < len(texts) else str(codes[at]), places[at], fontsize=7)
        axes.set(xlabel="first principal component", ylabel="second principal component")

    shown = names.get(column, column)
    caption = (
        f"{len(codes):,} levels with vectors of {vectors.shape[1]} numbers; the plane has {share:.0%} of their "
        "variance. The most frequent levels are named. The model treats levels alike whose vectors lie close together."
    )
    return ModelFigure(title=f"Learned vectors of {shown}", caption=caption, png=_png(draw, height=5.0))


def _attention(fitted: FittedNetwork, design: Design, names: Mapping[str, str]) -> list[ModelFigure]:
    rows = np.unique(np.linspace(0, len(design) - 1, min(_MAX_ROWS, len(design))).astype(np.int64))
    masks, aggregate = fitted.attention(design)
    largest = np.argsort(-aggregate.mean(axis=0), kind="stable")[:_MAX_FEATURES]
    shown = [names.get(design.names[at], design.names[at])[:60] for at in largest]
    order = rows[np.argsort(fitted.predict(design)[rows], kind="stable")]
    mean = masks.mean(axis=0)[:, largest]

    def heat(values: Floats, label: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            image = axes.imshow(values.T, aspect="auto", cmap="Blues", vmin=0, interpolation="nearest")
            axes.set_yticks(range(len(shown)), shown, fontsize=8)
            axes.set_xticks([] if len(values) > 12 else range(len(values)))
            axes.set_xlabel(label)
            axes.figure.colorbar(image, ax=axes, label="share of attention")

        return draw

    height = 1.5 + 0.25 * max(len(shown), 4)
    return [
        ModelFigure(
            title="Attention of TabNet, each row",
            caption="Share of the attention on each column, steps weighted by what they add to the output.",
            png=_png(heat(aggregate[order][:, largest], "rows, by ascending prediction"), height=height),
        ),
        ModelFigure(
            title="Attention of TabNet, each step",
            caption="Mean of the masks of each step over the rows.",
            png=_png(heat(mean, "step"), height=height),
        ),
    ]


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _png(draw: Callable[[Any], None], *, height: float) -> bytes:
    data = io.BytesIO()
    with drawn_axes(data, width=10, height=height) as axes:
        draw(axes)
    return data.getvalue()
