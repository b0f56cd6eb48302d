"""Blocks that do not use the target: numbers, parts of dates, texts as components of TF-IDF, codes of categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.prepare.block import Matrix, Target
from headrace.automl.prepare.lookup import level_numbers

#: Parts of a date; those of _TREND grow with time, so that a tree cannot use them for later rows.
_PARTS: dict[str, Callable[[Any], Any]] = {
    "year": lambda at: at.dt.year,
    "month": lambda at: at.dt.month,
    "day": lambda at: at.dt.day,
    "weekday": lambda at: at.dt.dayofweek,
    "hour": lambda at: at.dt.hour + at.dt.minute / 60,
    "elapsed_days": lambda at: (at - pd.Timestamp("2000-01-01")).dt.total_seconds() / 86_400,
}
_TREND = ("year", "elapsed_days")
#: Terms of a text column, and components that they are reduced to.
_MAX_TERMS, _COMPONENTS = 3_000, 12
#: Rows above which terms are hashed (Weinberger et al., 2009), and number of hashes.
_HASHED_ROWS, _HASHES = 50_000, 2**14
#: A category with more levels than this also gets the count of its level.
_COUNTED_LEVELS = 20


class Numbers:
    """Numbers as they are."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.names: tuple[str, ...] = tuple(columns)

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Matrix:
        return self.transform(frame)

    def transform(self, frame: pd.DataFrame) -> Matrix:
        return frame[self.columns].to_numpy(dtype=np.float32)


class Dates:
    """The parts of dates that vary in training.

    Args:
        columns: Date columns.
        without_trend: Those whose year and elapsed days are left out, because the model predicts later rows.
    """

    def __init__(self, columns: Sequence[str], without_trend: Sequence[str] = ()) -> None:
        self.columns, self.without_trend = list(columns), tuple(without_trend)
        self.names: tuple[str, ...] = ()

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Matrix:
        self._chosen = [
            (column, part)
            for column in self.columns
            for part, compute in _PARTS.items()
            if not (part in _TREND and column in self.without_trend) and compute(frame[column]).nunique() > 1
        ]
        self.names = tuple(f"{column}.{part}" for column, part in self._chosen)
        return self.transform(frame)

    def transform(self, frame: pd.DataFrame) -> Matrix:
        computed = [_PARTS[part](frame[column]).to_numpy(dtype=np.float32) for column, part in self._chosen]
        return np.stack(computed, axis=1) if computed else np.empty((len(frame), 0), dtype=np.float32)


class Texts:
    """Each text column as components of its TF-IDF matrix (latent semantic analysis; Deerwester et al., 1990)."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.names: tuple[str, ...] = ()

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Matrix:
        self._pipelines = {column: _fitted_text(frame[column].fillna(""), target.seed) for column in self.columns}
        matrix = self.transform(frame)
        sizes = {column: 2 + (0 if pipeline is None else pipeline[1].n_components)
                 for column, pipeline in self._pipelines.items()}  # fmt: skip
        labels = ("length", "words", *(f"component_{number}" for number in range(_COMPONENTS)))
        self.names = tuple(f"{column}.{label}" for column, size in sizes.items() for label in labels[:size])
        return matrix

    def transform(self, frame: pd.DataFrame) -> Matrix:
        parts = [np.empty((len(frame), 0), dtype=np.float32)]
        for column, pipeline in self._pipelines.items():
            texts = frame[column].fillna("").astype(str)
            counts = np.stack([texts.str.len(), texts.str.split().str.len()], axis=1)
            parts.append(counts.astype(np.float32))
            if pipeline is not None:
                parts.append(pipeline[1].transform(pipeline[0].transform(texts)).astype(np.float32))
        return np.concatenate(parts, axis=1)


def _fitted_text(texts: pd.Series, seed: int) -> tuple[Any, Any] | None:
    """Return the fitted TF-IDF and its reduction; None where the texts share no term."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    tfidf: Any = TfidfVectorizer(max_features=_MAX_TERMS, sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    if len(texts) > _HASHED_ROWS:  # a vocabulary of all terms would not fit into memory
        hashing = HashingVectorizer(n_features=_HASHES, ngram_range=(1, 2), alternate_sign=False, norm=None)
        tfidf = make_pipeline(hashing, TfidfTransformer(sublinear_tf=True))
    try:
        terms = tfidf.fit_transform(texts.astype(str))
    except ValueError:  # no term is in two texts
        return None
    components = min(_COMPONENTS, min(terms.shape) - 1)
    if components < 1:
        return None
    return tfidf, TruncatedSVD(components, random_state=seed).fit(terms)


class CategoryCodes:
    """Categories as codes, the most frequent level first; rare and unknown levels share the code after the last one.

    Args:
        columns: Category columns.
        max_levels: Most codes of a column.
        counts: Whether columns of many levels also give the count of a row's level.
    """

    def __init__(self, columns: Sequence[str], *, max_levels: int, counts: bool = True) -> None:
        self.columns, self.max_levels, self.counts = list(columns), max_levels, counts
        self.names: tuple[str, ...] = ()

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Matrix:
        self._counts = {column: _level_counts(frame[column]) for column in self.columns}
        self._codes = {
            column: {level: code for code, level in enumerate(list(counts)[: self.max_levels])}
            for column, counts in self._counts.items()
        }
        self._counted = [
            column for column, counts in self._counts.items() if self.counts and len(counts) > _COUNTED_LEVELS
        ]
        self.names = (*self.columns, *(f"{column}.count" for column in self._counted))
        return self.transform(frame)

    def transform(self, frame: pd.DataFrame) -> Matrix:
        X = np.empty((len(frame), len(self.names)), dtype=np.float32)
        for position, column in enumerate(self.columns):
            codes = self._codes[column]
            X[:, position] = level_numbers(frame[column], codes, other=len(codes))
        for position, column in enumerate(self._counted, start=len(self.columns)):
            counts = level_numbers(frame[column], self._counts[column], other=0.0)
            X[:, position] = np.log1p(np.nan_to_num(counts))
        return X


def _level_counts(values: pd.Series) -> dict[str, int]:
    """Count the levels, the most frequent first, ties in alphabetical order, so that row order has no influence."""
    counts = values.value_counts()
    ordered = counts.sort_index().sort_values(ascending=False, kind="stable")
    return {str(level): int(count) for level, count in ordered.items()}
