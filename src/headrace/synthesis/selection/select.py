"""Select the candidate features worth computing, and record the reason for each.

In order, features are dropped that are mostly null, constant, a duplicate, of too many categories, leaking (one alone
almost determines the label), correlated with a cheaper one, no better than noise (LightGBM gain against permuted
copies, after Kursa and Rudnicki, 2010) in most of three models with other seeds and blocks of time, and beyond the
requested number; of features that gain about equally, the cheaper one stays. On small tables a feature also stays
where a rank test associates it with the label (ADR 72). The result depends on the matrix, the label and the seed alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.language.values import Floats, Ints, categories, numbers
from headrace.synthesis.selection.association import associated
from headrace.synthesis.selection.cost import cost_of, ranked
from headrace.synthesis.selection.importance import StableGains, stable_gains

MOST_NULL = 0.98
MOST_CATEGORIES = 255
#: AUC of one feature alone (or its nulls) for a condition; |rank correlation| for a number.
LEAKING_AUC, LEAKING_RANK = 0.98, 0.9999
CORRELATED = 0.995
#: Rows used for leaks and correlation, and for importance. Features selected on 100,000 rows of the flights give .005
#: AUC more in the following months than those selected on 20,000 (make study-flights).
_FEW_ROWS, _MORE_ROWS = 10_000, 100_000
#: With fewer rows than this, features that pass a rank test stay too: of n rows the best n / _ROWS_OF_FEATURE by gain,
#: the middle of the range that Harrell (2015, section 4.4) recommends for a regression. n is that of `_table_size`.
_SMALL_TABLE, _ROWS_OF_FEATURE = 5_000, 15
#: Features that stay, by gain, where no feature gains more than noise.
_LEAST = 10
#: Estimated seconds for one value of a feature of cost 1 (a mean), on one core.
_SECONDS_PER_VALUE = 1e-7


class Matrix(Protocol):
    """Columns by slug, read one by one: a table, or a file that is larger than memory."""

    @property
    def num_rows(self) -> int: ...

    def __getitem__(self, slug: str, /) -> pa.ChunkedArray: ...


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The selected features, and why.

    Attributes:
        kept: the selected definitions, best first.
        ledger: one entry per candidate, in their order: feature, slug, kept, reason, null_share, cost_s (estimated
            seconds to compute it for the rows given, on one core), contribution (share of gain), agreement (the share
            of models in which it gains more than noise; None where it was dropped before).
    """

    kept: tuple[Definition, ...]
    ledger: list[dict[str, Any]]

    @property
    def agreement(self) -> float:
        """The mean agreement of the kept features."""
        return float(np.mean([entry["agreement"] for entry in self.ledger if entry["kept"]]))


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    definition: Definition
    values: Floats  # of the sampled rows: numbers, or codes of categories; NaN = missing
    cost: float

    @property
    def categorical(self) -> bool:
        return self.definition.kind == "categorical"


def select(
    matrix: Matrix,
    label: Any,
    definitions: Sequence[Definition],
    *,
    max_features: int,
    seed: int,
    threads: int,
    rows: Ints | None = None,
) -> Selection:
    """Select the features worth computing.

    Args:
        matrix: a column per definition, by slug.
        label: float64 [n] without nulls. Two distinct values are a condition (AUC, binary gain), more are a number.
        definitions: the candidates.
        max_features: how many are selected at most.
        seed: of the random numbers.
        threads: of LightGBM.
        rows: indices of the rows whose labels may be used; None: all. Rows that evaluate a model later must not
            select its features.

    Raises:
        DataError: no feature is worth keeping, or labels are missing.
    """
    target = numbers(label)
    if len(target) != matrix.num_rows or not len(target) or np.isnan(target).any():
        raise DataError(
            f"{len(target)} labels ({int(np.isnan(target).sum())} null) for {matrix.num_rows} rows", where="selection"
        )
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(target) if rows is None else rows)[:_MORE_ROWS])
    few = np.sort(rng.permutation(len(sample))[:_FEW_ROWS])
    reasons = dict(_ruled_out(matrix, definitions))
    candidates = list(_sampled(matrix, [item for item in definitions if item not in reasons], sample, reasons))
    reasons.update(_leaking(candidates, target[sample][few], few))
    candidates = [item for item in candidates if item.definition not in reasons]
    reasons.update(_correlated(candidates, few))
    candidates = [item for item in candidates if item.definition not in reasons]
    gains, agreement = _gains(candidates, target[sample], seed, threads, reasons)
    best = ranked({item: gain for item, gain in gains.items() if item not in reasons})
    reasons.update(dict.fromkeys(best[max_features:], f"past the best {max_features}"))
    kept = tuple(best[:max_features])
    if not kept:
        raise _nothing_kept(reasons)
    return Selection(kept=kept, ledger=[_entry(matrix, item, reasons, gains, agreement) for item in definitions])


def _nothing_kept(reasons: dict[Definition, str]) -> DataError:
    counts = Counter(reasons.values())
    return DataError(
        f"none of {len(reasons)} candidate features is worth keeping",
        where="selection",
        found=[f"{reason}: {count}" for reason, count in counts.most_common(5)],
        fix="give more history, other tables or lookbacks, or a deeper synthesis (depth, where, primitives)",
    )


def _entry(
    matrix: Matrix,
    definition: Definition,
    reasons: dict[Definition, str],
    gains: dict[Definition, float],
    agreement: dict[Definition, float],
) -> dict[str, Any]:
    total = sum(gains.values()) or 1.0
    return {
        "feature": definition.name,
        "slug": definition.slug,
        "kept": definition not in reasons,
        "reason": reasons.get(definition, "kept"),
        "null_share": matrix[definition.slug].null_count / max(matrix.num_rows, 1),
        "cost_s": cost_of(definition) * _SECONDS_PER_VALUE * matrix.num_rows,
        "contribution": gains.get(definition, 0.0) / total,
        "agreement": agreement.get(definition),
    }


def _ruled_out(matrix: Matrix, definitions: Sequence[Definition]) -> Iterator[tuple[Definition, str]]:
    """Features that their column alone rules out, with the reason."""
    for definition in definitions:
        column = matrix[definition.slug]
        if column.null_count > MOST_NULL * matrix.num_rows:
            yield definition, "mostly null"
            continue
        extremes = pc.min_max(column)
        if column.null_count == 0 and extremes["min"] == extremes["max"]:
            yield definition, "constant"


def _sampled(
    matrix: Matrix, definitions: Sequence[Definition], sample: Ints, reasons: dict[Definition, str]
) -> Iterator[_Candidate]:
    """Sampled values; exact duplicates of a cheaper column and columns of too many categories get a reason."""
    seen: dict[int, list[Definition]] = {}
    rows = pa.array(sample)
    for definition in sorted(definitions, key=cost_of):
        values = column_numbers(matrix[definition.slug].take(rows), definition)
        if definition.kind == "categorical" and np.nanmax(values, initial=0) >= MOST_CATEGORIES:
            reasons[definition] = f"more than {MOST_CATEGORIES} categories"
            continue
        same_hash = seen.setdefault(hash(values.tobytes()), [])
        twin = next((item for item in same_hash if matrix[item.slug].equals(matrix[definition.slug])), None)
        if twin is not None:
            reasons[definition] = f"duplicate of {twin.name}"
            continue
        same_hash.append(definition)
        yield _Candidate(definition=definition, values=values, cost=cost_of(definition))


def column_numbers(column: pa.ChunkedArray, definition: Definition) -> Floats:
    """Return a feature's values as numbers, or as codes of categories; NaN = missing [n]."""
    if definition.kind == "categorical":
        codes = categories(column)[0]
        return np.where(codes < 0, np.nan, codes.astype(np.float64))
    return numbers(column)


def _leaking(candidates: Sequence[_Candidate], target: Floats, few: Ints) -> Iterator[tuple[Definition, str]]:
    binary = len(np.unique(target)) <= 2
    for item in candidates:
        if item.categorical:
            continue
        values = item.values[few]
        null = np.isnan(values)
        strength = max(
            _strength(part, target[rows], binary) for part, rows in ((values[~null], ~null), (null, null | True))
        )
        # A leak in some rows only is recognised if at least 50 rows have a value.
        if strength > (LEAKING_AUC if binary else LEAKING_RANK) and (~null).sum() >= 50:
            yield item.definition, f"leaks the label: alone it reaches {strength:.4f}"


def _strength(values: Any, target: Floats, binary: bool) -> float:
    """AUC (either direction) of values for a binary target; |Spearman correlation| for a number; 0 if undefined."""
    if len(np.unique(target)) < 2 or (values == values[:1]).all():
        return 0.0
    ranks = _ranks(np.asarray(values, dtype=np.float64))
    if binary:
        true = target == target.max()
        positives, negatives = int(true.sum()), int((~true).sum())
        if min(positives, negatives) < 10:
            return 0.0
        auc = (ranks[true].sum() - positives * (positives + 1) / 2) / (positives * negatives)
        return float(max(auc, 1 - auc))
    return float(abs(np.corrcoef(ranks, _ranks(target))[0, 1]))


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, ties share their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse.reshape(-1)], dtype=np.float64)


def _correlated(candidates: Sequence[_Candidate], few: Ints) -> Iterator[tuple[Definition, str]]:
    """Of two correlated numbers the more expensive one is dropped; candidates come cheapest first."""
    numeric = [item for item in candidates if not item.categorical]
    if len(numeric) < 2:
        return
    columns = np.stack([item.values[few] for item in numeric])
    with np.errstate(invalid="ignore"):
        null: npt.NDArray[np.bool_] = np.asarray(np.isnan(columns))
        counts = np.maximum((~null).sum(axis=1), 1)
        means = np.where(null, 0.0, columns).sum(axis=1) / counts
        centred = np.where(null, 0.0, columns - means[:, None])
        size = np.sqrt((centred**2).sum(axis=1))
        unit = centred / np.where(size > 0, size, 1.0)[:, None]
    together = np.abs(unit @ unit.T) > CORRELATED
    retained: list[int] = []
    for i in range(len(numeric)):
        twin = next((j for j in retained if together[i, j] and (null[i] == null[j]).mean() > CORRELATED), None)
        if twin is None:
            retained.append(i)
        else:
            yield numeric[i].definition, f"correlated with {numeric[twin].definition.name}"


def _gains(
    candidates: Sequence[_Candidate], target: Floats, seed: int, threads: int, reasons: dict[Definition, str]
) -> tuple[dict[Definition, float], dict[Definition, float]]:
    """Gain and agreement of each candidate; those that are no better than noise get a reason."""
    if not candidates:
        return {}, {}
    values = np.stack([item.values for item in candidates], axis=1)
    categorical = np.array([item.categorical for item in candidates])
    stable = stable_gains(values, categorical, target, seed=seed, threads=threads)
    better = _better_than_noise(stable, values, categorical, target)
    definitions = [item.definition for item in candidates]
    reasons.update({item: "no better than noise" for item, kept in zip(definitions, better, strict=True) if not kept})
    return (
        {item: float(gain) for item, gain in zip(definitions, stable.share, strict=True)},
        {item: float(share) for item, share in zip(definitions, stable.agreement, strict=True)},
    )


def _table_size(target: Floats) -> int:
    """Return the number of rows; for a condition twice that of the rarer outcome, which limits what can be learned."""
    _, counts = np.unique(target, return_counts=True)
    return 2 * int(counts.min()) if len(counts) == 2 else len(target)


def _better_than_noise(
    stable: StableGains, values: Floats, categorical: npt.NDArray[np.bool_], target: Floats
) -> npt.NDArray[np.bool_]:
    """Which candidates are better than noise [p]; where none is, the best few by gain, for a model needs features."""
    best_first = np.argsort(-stable.share, kind="stable")
    better = stable.agreement > 0.5
    rows = _table_size(target)
    if rows < _SMALL_TABLE:
        passed = associated(values, categorical, target)
        better[best_first[passed[best_first]][: max(_LEAST, rows // _ROWS_OF_FEATURE)]] = True
    if not better.any():
        better[best_first[:_LEAST]] = True
    return better
