"""Cross-validation folds for data without time: shuffled, stratified by a binary label; each row validates once."""

from __future__ import annotations

import numpy as np

from headrace.core.errors import DataError, DeclarationError
from headrace.evaluate.splits import Fold
from headrace.models.families.protocol import Label


def folds(label: Label, count: int, *, seed: int = 0) -> tuple[Fold, ...]:
    """Split rows [n] into shuffled folds, stratified where the label has two classes.

    scikit-learn's KFold and StratifiedKFold give folds of the same sizes but other rows; the rows of a seed are kept,
    because they determine which configuration a study selects.

    Args:
        label: Labels [n].
        count: Number of folds.
        seed: Of the shuffle.

    Returns:
        (train rows, validation rows) of each fold, as sorted indices.

    Raises:
        DeclarationError: Fewer than two folds.
        DataError: Fewer rows, or rows of a class, than folds.
    """
    if count < 2:
        raise DeclarationError(f"cross-validation needs at least 2 folds, not {count}", where="folds")
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
