"""A LightGBM model as arrays for the compiled kernel: raw scores of float32 rows, bit-equal to LightGBM's.

Equality of bits is possible because a prediction is comparisons and one sum in a fixed order. Values are float32, so a
threshold may be rounded down to float32 without changing any comparison.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import DataError
from headrace.models.design import Matrix
from headrace.models.trees.kernel import (
    LANES,
    NAN_IS_ZERO,
    NAN_LEFT,
    NAN_RIGHT,
    ZERO_LEFT,
    ZERO_RIGHT,
    raw_scores,
)
from headrace.models.trees.model_text import Split, TextModel, TextTree, read_model_text

_NODE = np.dtype([("threshold", np.float32), ("slot", np.int32), ("child", np.int32)], align=True)
_MODES = {
    ("none", False): NAN_IS_ZERO,
    ("none", True): NAN_IS_ZERO,
    ("nan", False): NAN_RIGHT,
    ("nan", True): NAN_LEFT,
    ("zero", False): ZERO_RIGHT,
    ("zero", True): ZERO_LEFT,
}
#: Largest table of category sets, in numbers of 4 bytes: beyond it LightGBM itself is the better choice.
_MAX_TABLE = 32_000_000

#: A numerical test: (feature, treatment of missing values). A set: (feature, bit set of the codes that go left).
_Numeric = tuple[int, int]
_Set = tuple[int, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Forest:
    """The trees of one model. Arguments of the kernel are described there.

    Attributes:
        n_features: Columns of a row.
        n_outputs: Values of a raw score.
        objective: Words of LightGBM's objective.
    """

    n_features: int
    n_outputs: int
    objective: tuple[str, ...]
    slot_feature: NDArray[np.int32]
    slot_mode: NDArray[np.int32]
    group_feature: NDArray[np.int32]
    group_start: NDArray[np.int32]
    table_start: NDArray[np.int64]
    table: NDArray[np.float32]
    codes: int
    roots: NDArray[np.int32]
    nodes: NDArray[np.void]
    values: NDArray[np.float64]

    @classmethod
    def from_text(cls, text: str) -> Forest:
        """Convert the text of `Booster.model_to_string()`.

        Raises:
            DataError: The model cannot be compiled; the message says why.
        """
        model = read_model_text(text)
        slots = _Slots(model)
        builder = _NodeBuilder(slots)
        roots = [builder.add(tree) for tree in model.trees]
        empty = builder.add(TextTree(splits=(), leaf_values=(0.0,)))
        lanes = LANES * model.n_outputs
        roots += [empty] * (-len(roots) % lanes)  # adding zero changes no sum
        return cls(
            n_features=model.n_features,
            n_outputs=model.n_outputs,
            objective=model.objective,
            slot_feature=np.ascontiguousarray(slots.numeric[:, 0]),
            slot_mode=np.ascontiguousarray(slots.numeric[:, 1]),
            group_feature=slots.group_feature,
            group_start=slots.group_start,
            table_start=slots.table_start,
            table=slots.table,
            codes=slots.codes,
            roots=np.array(roots, dtype=np.int32),
            nodes=np.array(list(zip(builder.thresholds, builder.slots, builder.children, strict=True)), dtype=_NODE),
            values=np.array(builder.values, dtype=np.float64),
        )

    def raw(self, X: Matrix) -> NDArray[np.float64]:
        """Return the raw scores [n, k] of float32 rows [n, d]; NaN is missing."""
        if X.dtype != np.float32 or X.ndim != 2 or X.shape[1] != self.n_features:
            raise DataError(f"expected float32 [n, {self.n_features}]", where="trees", found=[X.dtype, X.shape])
        out = np.empty((len(X), self.n_outputs))
        raw_scores(
            np.ascontiguousarray(X), self.slot_feature, self.slot_mode, self.group_feature, self.group_start,
            self.table_start, self.table, self.codes, self.roots, self.nodes, self.values, out,
        )  # fmt: skip
        return out


class _Slots:
    """Positions of the distinct tests of a model in the kernel's buffer: numerical ones, then sets by feature."""

    def __init__(self, model: TextModel) -> None:
        splits = [split for tree in model.trees for split in tree.splits]
        numeric = sorted({_numeric(split) for split in splits if split.categories is None})
        distinct = dict.fromkeys((item.feature, item.categories) for item in splits if item.categories is not None)
        sets: list[_Set] = sorted(distinct, key=lambda item: item[0])
        self._numeric = {test: 1 + at for at, test in enumerate(numeric)}
        self._sets = {test: 1 + len(numeric) + at for at, test in enumerate(sets)}
        self.numeric = np.array(numeric, dtype=np.int32).reshape(-1, 2)
        features = sorted({feature for feature, _ in sets})
        groups = [[words for feature, words in sets if feature == own] for own in features]
        self.codes = max((32 * len(words) for group in groups for words in group), default=0)
        sizes = [len(group) * (self.codes + 1) for group in groups]
        if sum(sizes) > _MAX_TABLE:
            raise DataError("a model with so many sets of categories cannot be compiled", where="trees")
        self.group_feature = np.array(features, dtype=np.int32)
        self.group_start = np.cumsum([1 + len(numeric), *map(len, groups)]).astype(np.int32)
        self.table_start = np.cumsum([0, *sizes])[:-1].astype(np.int64)
        self.table = np.concatenate([*(_sides(group, self.codes).ravel() for group in groups), np.zeros(0, np.float32)])

    def position(self, split: Split) -> int:
        """Return the buffer position of a split's test."""
        if split.categories is not None:
            return self._sets[split.feature, split.categories]
        return self._numeric[_numeric(split)]


def _sides(sets: list[tuple[int, ...]], codes: int) -> NDArray[np.float32]:
    """Return [codes + 1, sets]: -1 where a code is in a set, so that it is below the threshold 0, else 1."""
    sides = np.ones((codes + 1, len(sets)), dtype=np.float32)
    for at, words in enumerate(sets):
        for code in range(32 * len(words)):
            if words[code // 32] >> code % 32 & 1:
                sides[code, at] = -1
    return sides


def _numeric(split: Split) -> _Numeric:
    return split.feature, _MODES[split.missing, split.default_left]


class _NodeBuilder:
    """Appends trees to the kernel's nodes; the children of a node are neighbours, the left one first."""

    def __init__(self, slots: _Slots) -> None:
        self._slots = slots
        self.thresholds: list[float] = []
        self.slots: list[int] = []
        self.children: list[int] = []
        self.values: list[float] = []

    def add(self, tree: TextTree) -> int:
        """Append a tree in order of depth; return the position of its root."""
        root = self._reserve(1)
        pending = deque([(0 if tree.splits else ~0, root)])
        while pending:
            child, at = pending.popleft()
            if child < 0:
                # the comparison with NaN in slot 0 is false: the next node is child + 1, the leaf itself
                self.children[at], self.values[at] = at - 1, tree.leaf_values[~child]
                continue
            split = tree.splits[child]
            first = self._reserve(2)
            self.slots[at], self.children[at] = self._slots.position(split), first
            self.thresholds[at] = 0.0 if split.categories is not None else _round_down(split.threshold)
            pending += [(split.left, first), (split.right, first + 1)]
        return root

    def _reserve(self, n: int) -> int:
        first = len(self.values)
        for numbers in (self.thresholds, self.values):
            numbers += [0.0] * n
        for integers in (self.slots, self.children):
            integers += [0] * n
        return first


def _round_down(threshold: float) -> float:
    """Return the largest float32 that is not above a threshold."""
    with np.errstate(over="ignore"):
        rounded = np.float32(threshold)
    return float(np.nextafter(rounded, np.float32(-np.inf)) if rounded > threshold else rounded)
