"""Choose how deep features are stacked by validation in time: the least depth that no deeper one beats clearly.

For every depth, features are selected among the candidates up to it on the training rows of each fold, a small model
is fitted to them there, and its loss is measured on the later rows of the fold. Of all depths whose mean loss is within
one standard error of the best one's, the least is chosen (after Breiman, Friedman, Olshen and Stone, 1984). This error
is that of the paired difference over blocks of consecutive rows, because rows of one day are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.core.openmp import ensure_openmp
from headrace.schema import Problem
from headrace.schema.label_history import LABEL_HISTORY
from headrace.schema.problem import AUTO
from headrace.synthesis.candidates.through import is_through
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct
from headrace.synthesis.language.inputs import depth as depth_of
from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.selection.select import Matrix, column_numbers, select

#: Folds that are used, the last ones; rows of a fold's training and validation part; blocks of a validation part.
_FOLDS, _ROWS, _BLOCKS = 2, 20_000, 20
_ROUNDS = 60


@dataclass(frozen=True, kw_only=True)
class DepthResult:
    """What validation found for one depth.

    Attributes:
        depth: The depth.
        candidates: Number of candidates up to it.
        features: Mean number of features that were selected from them.
        loss: Mean validation loss: log loss of a condition, squared error of a number.
        worse: Loss less that of the best depth.
        error: Standard error of `worse`; 0 for the best.
    """

    depth: int
    candidates: int
    features: float
    loss: float
    worse: float
    error: float


def level(problem: Problem, definition: Definition) -> int:
    """Return the least declared depth at which a definition is a candidate."""
    if is_through(definition) and problem.through != AUTO:
        return 1
    if isinstance(definition, Direct) and isinstance(definition.value, Aggregate):
        below = definition.value
        return 1 if below.table == LABEL_HISTORY else depth_of(definition)
    return max(1, depth_of(definition))


def choose_depth(
    problem: Problem,
    matrix: Matrix,
    label: Floats,
    definitions: Sequence[Definition],
    folds: Sequence[tuple[Ints, Ints]],
    *,
    max_features: int,
    seed: int,
    threads: int,
) -> tuple[int, tuple[DepthResult, ...]]:
    """Choose a depth by validation in time.

    Args:
        problem: Declares the options that candidates come from.
        matrix: A column per definition, by slug.
        label: Labels [n].
        definitions: Candidates of all depths.
        folds: Training rows and later validation rows of each fold, as indices.
        max_features: Number of features that are selected at most.
        seed: Of the random numbers.
        threads: Of LightGBM.

    Returns:
        The chosen depth, and the results of all depths that have candidates of their own, least first.
    """
    levels = np.array([level(problem, item) for item in definitions])
    depths = sorted({int(item) for item in levels})
    losses: dict[int, Floats] = {}
    counts: dict[int, list[int]] = {}
    for depth in depths:
        own = [item for item, its in zip(definitions, levels, strict=True) if its <= depth]
        parts = []
        for train, validation in folds[-_FOLDS:]:
            try:
                kept = select(
                    matrix, label, own, max_features=max_features, seed=seed, threads=threads, rows=train
                ).kept
            except DataError:  # nothing is better than noise up to this depth
                kept = ()
            counts.setdefault(depth, []).append(len(kept))
            parts.append(_block_losses(matrix, label, kept, train, validation, seed, threads))
        losses[depth] = np.concatenate(parts)
    best = min(depths, key=lambda item: float(losses[item].mean()))
    results = tuple(
        DepthResult(
            depth=depth,
            candidates=int((levels <= depth).sum()),
            features=float(np.mean(counts[depth])),
            loss=float(losses[depth].mean()),
            worse=float((losses[depth] - losses[best]).mean()),
            error=_standard_error(losses[depth] - losses[best]),
        )
        for depth in depths
    )
    return next(item.depth for item in results if item.worse <= item.error), results


def _block_losses(
    matrix: Matrix, label: Floats, kept: Sequence[Definition], train: Ints, validation: Ints, seed: int, threads: int
) -> Floats:
    """Mean validation loss of a model of some features, by block of consecutive rows [blocks]."""
    rng = np.random.default_rng([seed, 2])
    train, validation = (np.sort(rng.permutation(rows)[:_ROWS]) for rows in (train, validation))
    predicted = _predicted(matrix, label, kept, train, validation, seed, threads)
    truth = label[validation]
    if len(np.unique(label[train])) == 2:
        hit = truth == label[train].max()
        chance = np.clip(np.where(hit, predicted, 1 - predicted), 1e-6, 1)
        losses = -np.log(chance)
    else:
        losses = (truth - predicted) ** 2
    return np.array([block.mean() for block in np.array_split(losses, min(_BLOCKS, len(losses)))])


def _predicted(
    matrix: Matrix, label: Floats, kept: Sequence[Definition], train: Ints, validation: Ints, seed: int, threads: int
) -> Floats:
    """Predictions of the validation rows; the mean of the training labels where there are no features."""
    binary = len(np.unique(label[train])) == 2
    target = (label[train] == label[train].max()).astype(np.float64) if binary else label[train]
    if not kept:
        return np.full(len(validation), float(target.mean()))
    ensure_openmp()
    import lightgbm  # 0.3 s: only selection needs it here

    rows = pa.array(np.concatenate([train, validation]))
    columns = [column_numbers(matrix[item.slug].take(rows), item) for item in kept]
    values = np.stack(columns, axis=1).astype(np.float32)
    categorical = [at for at, item in enumerate(kept) if item.kind == "categorical"]
    data = lightgbm.Dataset(
        values[: len(train)], label=target, categorical_feature=categorical, params={"max_bin": 63, "verbosity": -1}
    )
    settings = {
        "objective": "binary" if binary else "regression",
        "learning_rate": 0.1,
        "num_leaves": 31,
        "max_bin": 63,
        "min_data_in_leaf": max(5, min(50, len(train) // 50)),
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }
    model = lightgbm.train(settings, data, num_boost_round=_ROUNDS)
    return np.asarray(model.predict(values[len(train) :], num_threads=threads), dtype=np.float64)


def _standard_error(differences: Floats) -> float:
    return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0
