"""Folds for data without time: each row is measured on once."""

from __future__ import annotations

import numpy as np

from headrace.core.errors import DataError, DeclarationError
from headrace.evaluate.splits import Fold
from headrace.models.families.protocol import Label


def folds(label: Label, count: int, *, seed: int = 0) -> tuple[Fold, ...]:
    """`count` folds of rows [n], shuffled by the seed; two classes are dealt out evenly (stratified).

    Raises DataError where there are fewer rows, or rows of a class, than folds.
    """
    if count < 2:
        raise DeclarationError(f"{count} folds leave nothing to measure on", where="folds", fix="use 2 or more")
    y = np.asarray(label)
    if len(y) < count:
        raise DataError(f"{len(y)} rows cannot make {count} folds", where="folds", fix="use fewer folds, or more rows")
    classes, sizes = np.unique(y, return_counts=True)
    stratified = len(classes) == 2
    if stratified and sizes.min() < count:
        raise DataError(
            f"a class has {sizes.min()} rows, too few for {count} folds",
            where="folds",
            found=dict(zip(classes.tolist(), sizes.tolist(), strict=True)).items(),
            fix="use fewer folds, or more rows",
        )
    order = np.random.default_rng(seed).permutation(len(y))
    if stratified:
        order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % count
    return tuple((np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count))
