"""Constructed columns that lift trees: arithmetic of numbers, aggregates of groups, interactions of categories.

Three of the generators that TabPrep combines (arithmetic, group-by, categorical interactions; target encoding is the
fourth). Candidates come from the columns that a small boosted model uses most. A second small model, on all columns and
candidates, keeps the candidates of largest gain. Both models see training rows only.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.prepare.block import Matrix, Target
from headrace.automl.prepare.encoding import TargetEncoded
from headrace.automl.prepare.gains import column_gains
from headrace.automl.prepare.lookup import level_numbers

#: Columns that candidates are made from, and candidates that are kept.
_NUMBERS, _CATEGORIES, _KEPT = 6, 4, 12
_JOINED = "\0+"


class Constructions:
    """Arithmetic, group-by and interaction columns, the best by gain.

    Args:
        numbers: Number columns.
        categories: Category columns.
    """

    def __init__(self, numbers: list[str], categories: list[str]) -> None:
        self.numbers, self.categories = numbers, categories
        self.names: tuple[str, ...] = ()

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Matrix:
        self._choose_inputs(frame, target)
        self._encoder = TargetEncoded([_JOINED.join(pair) for pair in self._pairs])
        arithmetic = self._arithmetic(frame)
        self._fit_groups(frame)
        parts: list[Matrix] = [arithmetic, self._groups(frame)]
        if self._pairs:
            parts.append(self._encoder.fit_transform(self._joined(frame), target))
        candidates = np.concatenate(parts, axis=1)
        self._kept = self._best(frame, candidates, target)
        labels = self._labels()
        self.names = tuple(labels[position] for position in self._kept)
        return candidates[:, self._kept]

    def transform(self, frame: pd.DataFrame) -> Matrix:
        parts = [self._arithmetic(frame), self._groups(frame)]
        if self._pairs:
            parts.append(self._encoder.transform(self._joined(frame)))
        return np.concatenate(parts, axis=1)[:, self._kept]

    def _choose_inputs(self, frame: pd.DataFrame, target: Target) -> None:
        gains = column_gains(self._plain(frame), target)
        ranked = [name for name, _ in sorted(zip((*self.numbers, *self.categories), -gains, strict=True),
                                             key=lambda item: item[1])]  # fmt: skip
        self._top_numbers = [name for name in ranked if name in self.numbers][:_NUMBERS]
        self._top_categories = [name for name in ranked if name in self.categories][:_CATEGORIES]
        self._pairs = list(combinations(self._top_categories, 2))

    def _plain(self, frame: pd.DataFrame) -> Matrix:
        """Return numbers and category codes [n, d]: what the candidates are compared with."""
        codes = [pd.factorize(frame[name])[0] for name in self.categories]
        columns = [frame[name].to_numpy(dtype=np.float32) for name in self.numbers]
        return np.stack([*columns, *(np.asarray(code, dtype=np.float32) for code in codes)], axis=1)

    def _best(self, frame: pd.DataFrame, candidates: Matrix, target: Target) -> Any:
        if not candidates.shape[1]:
            return np.empty(0, dtype=np.int64)
        plain = self._plain(frame)
        gains = column_gains(np.concatenate([plain, candidates], axis=1), target)[plain.shape[1] :]
        order = np.argsort(-gains, kind="stable")[:_KEPT]
        return np.sort(order[gains[order] > 0])

    def _arithmetic(self, frame: pd.DataFrame) -> Matrix:
        """Return sum, difference, product and ratio of each pair of the chosen numbers."""
        columns = []
        for first, second in combinations(self._top_numbers, 2):
            a, b = frame[first].to_numpy(dtype=np.float64), frame[second].to_numpy(dtype=np.float64)
            with np.errstate(all="ignore"):
                columns += [a + b, a - b, a * b, np.where(b == 0, np.nan, a / b)]
        return _matrix(columns, len(frame))

    def _fit_groups(self, frame: pd.DataFrame) -> None:
        self._means = [  # no dictionary: skops writes text keys only
            (category, number, frame.groupby(category, sort=False)[number].mean().to_dict())
            for category in self._top_categories
            for number in self._top_numbers[:3]
        ]

    def _groups(self, frame: pd.DataFrame) -> Matrix:
        """Return the mean of each number in the row's level of each category, and the difference to it."""
        columns = []
        for category, number, means in self._means:
            mean = level_numbers(frame[category], means)
            columns += [mean, frame[number].to_numpy(dtype=np.float64) - mean]
        return _matrix(columns, len(frame))

    def _joined(self, frame: pd.DataFrame) -> pd.DataFrame:
        texts = {name: frame[name].fillna("").astype(str) for name in self._top_categories}
        return pd.DataFrame({_JOINED.join(pair): texts[pair[0]] + _JOINED + texts[pair[1]] for pair in self._pairs})

    def _labels(self) -> list[str]:
        numbers = combinations(self._top_numbers, 2)
        labels = [f"{first} {sign} {second}" for first, second in numbers for sign in ("+", "-", "x", "/")]
        for category, number, _ in self._means:
            labels += [f"mean of {number} by {category}", f"{number} - its mean by {category}"]
        return [*labels, *(name.replace(_JOINED, " and ") for name in getattr(self._encoder, "names", ()))]


def _matrix(columns: list[Any], n_rows: int) -> Matrix:
    if not columns:
        return np.empty((n_rows, 0), dtype=np.float32)
    with np.errstate(over="ignore"):
        X = np.stack(columns, axis=1).astype(np.float32)
    X[~np.isfinite(X)] = np.nan
    return X
