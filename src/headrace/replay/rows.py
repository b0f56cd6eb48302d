"""All rows of a replay with their features at their own ticks, for the fits and the evidence of every policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.evaluate.splits import known_before_rows
from headrace.models.design import Design, Encoder
from headrace.synthesis.language.definitions import Definition


@dataclass(frozen=True, kw_only=True)
class ReplayRows:
    """The rows of the history and of the replayed months, by cutoff.

    Attributes:
        matrix: Features by slug [n, d], each at the row's own tick.
        definitions: The features.
        label: Labels [n], NaN where none had come by the end.
        cutoffs_us: Cutoffs [n], microseconds UTC.
        known_us: When each label was known [n], microseconds UTC.
        entities: Column of digests of an entity's keys -> its values [n] (`headrace.models.entity_keys`).
        start_us: The encoder is fitted on rows before.
    """

    matrix: pa.Table
    definitions: tuple[Definition, ...]
    label: NDArray[np.float64]
    cutoffs_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    entities: Mapping[str, NDArray[np.int64]]
    start_us: int

    def known_before(self, instant_us: int) -> NDArray[np.int64]:
        """Return the rows that a model fitted at an instant learns from."""
        rows = known_before_rows(self.cutoffs_us, self.known_us, instant_us)
        return rows[np.isfinite(self.label[rows])]

    @cached_property
    def label_or_zero(self) -> NDArray[np.float64]:
        """The labels [n] with 0 where there is none, for fits that name their rows."""
        return np.nan_to_num(self.label)

    @cached_property
    def design(self) -> Design:
        """The design matrix [n, d]. Category lists are those of the history before the start."""
        history = self.matrix.take(pa.array(self.known_before(self.start_us)))
        return Encoder.fit(history).encode(self.matrix)


def shuffled(rows: ReplayRows, seed: int) -> ReplayRows:
    """Shuffle features and labels together over the instants: nothing drifts, and more rows are known over time.

    A row without a label stays where it is: the number of labels that are known by an instant is that of the history.
    """
    labelled = np.flatnonzero(np.isfinite(rows.label))
    order = np.arange(len(rows.label))
    order[labelled] = np.random.default_rng(seed).permutation(labelled)
    return replace(
        rows,
        matrix=rows.matrix.take(pa.array(order)),
        label=rows.label[order],
        entities={name: values[order] for name, values in rows.entities.items()},
    )
