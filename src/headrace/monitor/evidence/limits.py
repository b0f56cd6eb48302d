"""Limit the significance of a column's drift tests by what windows of the reference and their entities show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.monitor.drift_tests import MISSING, Measure
from headrace.monitor.drift_tests.samples import Counts, Pair
from headrace.monitor.drift_tests.scores import Moment
from headrace.monitor.evidence.clusters import Clusters, cluster_share_p_value
from headrace.monitor.evidence.moments import MomentDifference, moment_difference
from headrace.monitor.evidence.values import as_numbers
from headrace.monitor.evidence.variance import Blocks, VarianceTest, between_window_test

_MIN_VALUES = 30
MOMENTS: tuple[Moment, ...] = ("mean", "spread")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is known about the dependence of a column's rows.

    Attributes:
        blocks: Blocks of the reference's rows, or of `scatter` where given.
        clusters: Entities that the rows share.
        scatter: Other numbers [k] from whose blocks the variance between windows is estimated.
        lookback: Lookback of the feature, in blocks.
    """

    blocks: Blocks
    clusters: tuple[Clusters, ...] = ()
    scatter: Any = None
    lookback: float = 0.0


def moment_differences(names: Collection[str], pair: Pair, limits: Limits) -> dict[str, MomentDifference]:
    """Return moment -> its difference, for those of the named tests that are moments.

    Of several entities, the one that varies most counts. Empty where the scatter is that of other numbers.
    """
    if limits.scatter is not None or pair.kind != "numeric":
        return {}
    tested = {moment: _difference(pair, moment, limits) for moment in MOMENTS if moment in names}
    return {moment: item for moment, item in tested.items() if item is not None}


def _difference(pair: Pair, moment: Moment, limits: Limits, windows: int = 1) -> MomentDifference | None:
    candidates = [
        moment_difference(pair, moment, limits.blocks, clusters, lookback_blocks=limits.lookback, windows=windows)
        for clusters in limits.clusters or (None,)
    ]
    present = [item for item in candidates if item is not None]
    return max(present, key=lambda item: item.cluster_variance or 0.0, default=None)


@dataclass(frozen=True, kw_only=True)
class JoinedWindows:
    """A column in several windows as one.

    Attributes:
        windows: Their number.
        values: Values [m], Arrow or NumPy.
        clusters: Entities of the reference's rows and of these.
    """

    windows: int
    values: Any
    clusters: tuple[Clusters, ...] = ()

    def difference(self, pair: Pair, limits: Limits) -> MomentDifference | None:
        """Return the difference of their mean; None where they hold no numbers, or the reference is constant."""
        values = as_numbers(self.values)
        if values is None or pair.rows is None or np.isfinite(values).sum() < _MIN_VALUES:
            return None
        return _difference(
            Pair.numeric(pair.rows, values), "mean", replace(limits, clusters=self.clusters), self.windows
        )


def limit_measures(
    measures: Mapping[str, Measure], pair: Pair, limits: Limits, *, kept: Collection[str] = ()
) -> tuple[dict[str, Measure], float | None]:
    """Raise p-values to at least those of the tests by windows and by entities.

    Args:
        measures: Results of the drift tests.
        pair: The samples.
        limits: Dependence of the rows.
        kept: Names of tests that are returned as they are.

    Returns:
        The measures, without those that cannot be tested; and the number of independent windows where they are too few.
    """
    rows = pair.rows if limits.scatter is None else as_numbers(limits.scatter)
    if rows is None:
        return dict(measures), None
    shares = _Shares.count(rows, pair, limits)
    tested = {False: shares.test(limits), True: shares.missing().test(limits)}
    limited = {
        name: item if name in kept else _limit_p_value(item, tested[name == MISSING.name])
        for name, item in measures.items()
    }
    few = tested[False].windows if tested[False].p_value is None else None
    return {name: item for name, item in limited.items() if item is not None}, few


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shares:
    """Rows per block and cell [B, K]; per cell of both samples [K]; per entity and cell of both samples [g, K]."""

    blocks: Counts
    reference: Counts
    current: Counts
    entities: tuple[tuple[Counts, Counts], ...]

    @classmethod
    def count(cls, rows: NDArray[Any], pair: Pair, limits: Limits) -> _Shares:
        cells, last = pair.cells_of(rows)
        entities: list[tuple[Counts, Counts]] = []
        if limits.scatter is None and pair.current_rows is not None:
            after, _ = pair.cells_of(pair.current_rows)
            totals = [np.bincount(side, minlength=last + 1).astype(np.int64) for side in (cells, after)]
            entities = [
                (_table(item.reference, cells, item.count, last), _table(item.current, after, item.count, last))
                for item in limits.clusters
            ]
        else:
            totals = [pair.cell_totals(0), pair.cell_totals(1)]
        return cls(
            blocks=_table(limits.blocks.ids, cells, limits.blocks.count, last),
            reference=totals[0],
            current=totals[1],
            entities=tuple(entities),
        )

    def missing(self) -> _Shares:
        """Return the same of two cells: rows with a value, and without one."""
        return _Shares(
            blocks=_missing(self.blocks),
            reference=_missing(self.reference),
            current=_missing(self.current),
            entities=tuple((_missing(before), _missing(after)) for before, after in self.entities),
        )

    def test(self, limits: Limits) -> VarianceTest:
        by_windows = between_window_test(
            self.blocks,
            self.reference,
            self.current,
            pooled_level=limits.scatter is None,
            lookback_windows=limits.lookback,
        )
        if by_windows.p_value is None:
            return by_windows
        by_entities = [
            cluster_share_p_value(before, after, recur=item.recur)
            for (before, after), item in zip(self.entities, limits.clusters, strict=False)
        ]
        return VarianceTest(max([by_windows.p_value, *by_entities]), by_windows.windows)


def _table(groups: NDArray[np.int64], cells: NDArray[np.int64], count: int, last: int) -> Counts:
    """Count rows per group and cell [count, K]; rows of negative groups are ignored."""
    flat = np.bincount((groups + 1) * (last + 1) + cells, minlength=(count + 1) * (last + 1))
    return np.asarray(flat.reshape(count + 1, last + 1)[1:], dtype=np.int64)


def _missing(counts: Counts) -> Counts:
    """Return the number of rows with a value and without one [..., 2] from counts [..., K]."""
    return np.stack([counts[..., :-1].sum(axis=-1), counts[..., -1]], axis=-1)


def _limit_p_value(measure: Measure, test: VarianceTest) -> Measure | None:
    if test.p_value is None:
        return None
    return Measure(score=measure.score, p_value=max(measure.p_value, test.p_value), effect=measure.effect)
