"""Explain answers: the Shapley values of predicted rows, and what their features mean in words; for clients who ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headrace.core.errors import UnavailableError
from headrace.models.ensemble import raw_output
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.language.values import arrow_type

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

#: Most rows of one call that are explained: a row takes as long as a hundred predictions.
MAX_EXPLAINED = 100


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one feature adds to a prediction.

    Attributes:
        feature: Name of the feature.
        words: Its meaning.
        value: Its value, None is missing.
        shap: Its Shapley value, in the unit of the explanation.
    """

    feature: str
    words: str
    value: float | str | None
    shap: float


@dataclass(frozen=True, kw_only=True)
class RowExplanation:
    """The explanation of one prediction: `baseline` plus all Shapley values is the raw prediction.

    Attributes:
        unit: "log-odds" of a probability, else the name of the label's column.
        baseline: Raw prediction of the average row.
        contributions: Of all features, the largest first.
    """

    unit: str
    baseline: float
    contributions: tuple[Contribution, ...]


def explain_rows(
    bundle: Bundle, features: Sequence[Mapping[str, Any]], values: Sequence[float], *, binary: bool, unit: str
) -> list[RowExplanation]:
    """Explain predictions [n] of a bundle.

    Args:
        bundle: The bundle.
        features: Its inputs for each row, by slug.
        values: Its predictions.
        binary: Whether they are probabilities.
        unit: Unit of a prediction that is a number.

    Raises:
        UnavailableError: The model cannot be explained.
    """
    if not hasattr(bundle, "fitted"):
        raise UnavailableError("this model cannot be explained")
    kinds = {item.slug: item.kind for item in bundle.definitions}
    matrix = pa.table(
        {slug: pa.array([row[slug] for row in features], type=arrow_type(kind)) for slug, kind in kinds.items()}
    )
    shap = bundle.fitted.contributions(bundle.encoder.encode(matrix))
    raw = raw_output(np.array(values, dtype=np.float64), binary=binary)
    meanings = _meanings(bundle.definitions)
    return [
        RowExplanation(
            unit="log-odds" if binary else unit,
            baseline=float(raw[at] - shap[at].sum()),
            contributions=_contributions(bundle.encoder.names, meanings, row, shap[at].tolist()),
        )
        for at, row in enumerate(features)
    ]


def _contributions(
    slugs: Sequence[str], meanings: Mapping[str, tuple[str, str]], row: Mapping[str, Any], shap: Sequence[float]
) -> tuple[Contribution, ...]:
    ordered = sorted(zip(slugs, shap, strict=True), key=lambda item: -abs(item[1]))
    return tuple(
        Contribution(feature=meanings[slug][0], words=meanings[slug][1], value=row[slug], shap=value)
        for slug, value in ordered
    )


@lru_cache(maxsize=4)
def _meanings(definitions: tuple[Definition, ...]) -> dict[str, tuple[str, str]]:
    """Return slug -> name and meaning of each feature."""
    from headrace.synthesis.explanation.description import words

    return {item.slug: (item.name, words(item)) for item in definitions}
