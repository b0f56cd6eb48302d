"""Cut a window and the held-out rows into the same slices: entities, important features, and features that drifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION
from headrace.models.entity_keys import ENTITY
from headrace.monitor.estimates.slices import (
    DailyLoss,
    Slice,
    SlicedColumn,
    daily_loss,
    shift_cost,
    slice_categories,
    slice_numbers,
    worse_since,
    worse_slices,
)
from headrace.monitor.evidence.values import as_numbers
from headrace.monitor.evidence.window import WindowEvidence
from headrace.pipeline.monitoring.champion_reference import ChampionReference
from headrace.pipeline.monitoring.current_window import CurrentWindow

Floats = NDArray[np.float64]

#: Features that are cut into slices, besides those that drifted.
_MAX_FEATURES = 10


@dataclass(frozen=True, kw_only=True)
class SlicedWindow:
    """The slices of windows, as the held-out rows define them.

    Attributes:
        reference: of the champion.
        evidence: of the window: its drifted features are cut too.
        held_out: rows with features, entities, labels and out-of-sample predictions.
        metric: of the problem.
    """

    reference: ChampionReference
    evidence: WindowEvidence
    held_out: pa.Table
    metric: str

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that are cut: entities, the most important features, and those that drifted."""
        names, importance = self.held_out.column_names, self.reference.importance
        entities = [name for name in names if name.startswith(ENTITY)]
        important = sorted(importance, key=lambda name: -importance[name])[:_MAX_FEATURES]
        features = [
            name
            for name in (*important, *self.evidence.drifted)
            if name in names and name not in self.reference.excluded
        ]
        return tuple(dict.fromkeys((*entities, *features)))

    @cached_property
    def loss(self) -> Floats:
        """The loss of each held-out row [k]."""
        return row_loss(self.held_out, self.metric)

    def cut(self, name: str, window: CurrentWindow) -> SlicedColumn:
        """Cut one column of the held-out rows and of a window. Slices by entity are named by the window's rows."""
        table = window.table
        if name.startswith(ENTITY):
            return self._cut_entity(name, window)
        if self.reference.kinds.get(name) == "numeric":
            return slice_numbers(column_floats(self.held_out, name), column_floats(table, name))
        return slice_categories(_texts(self.held_out, name), _texts(table, name))

    def _cut_entity(self, name: str, window: CurrentWindow) -> SlicedColumn:
        """Cut by digests of an entity's keys; those of no row of the window have no name, and are not kept."""
        digests = _texts(window.table, name)
        names = dict(zip(digests, window.entities.get(name.removeprefix(ENTITY), digests), strict=True))
        sliced = slice_categories(_texts(self.held_out, name), digests)
        return replace(sliced, labels=tuple(str(names.get(label, label)) for label in sliced.labels))

    def shift_costs(self, current: CurrentWindow) -> dict[str, tuple[float, float]]:
        """Drifted feature -> expected increase of the mean loss by its shift, and its standard error."""
        names = [name for name in self.evidence.drifted if name in self.columns and name in current.table.column_names]
        return {name: shift_cost(self.cut(name, current), self.loss) for name in names}

    def worse(self, current: CurrentWindow) -> tuple[Slice, ...]:
        """The slices whose loss grew, the worst first."""
        return worse_slices(
            {name.removeprefix(ENTITY): self.cut(name, current) for name in self.columns},
            self.loss,
            self.held_out[CUTOFF].to_numpy(),
            row_loss(current.table, self.metric),
            current.cutoffs_us,
        )

    def rows_of(self, one: Slice, window: CurrentWindow) -> tuple[Floats, NDArray[np.int64]]:
        """The losses of a window's rows in a slice [m], NaN where immature, and their cutoffs [m] (us)."""
        name = one.column if one.column in self.held_out.column_names else f"{ENTITY}{one.column}"
        sliced = self.cut(name, window)
        inside = sliced.current == (sliced.labels.index(one.value) if one.value in sliced.labels else -1)
        return row_loss(window.table, self.metric)[inside], window.cutoffs_us[inside]

    def daily(self, windows: Sequence[CurrentWindow], worst: Slice | None) -> tuple[DailyLoss, ...]:
        """The mean loss by day of all rows and of the worst slice, over windows in order of time."""
        everything = [row_loss(window.table, self.metric) for window in windows]
        cutoffs = np.concatenate([window.cutoffs_us for window in windows])
        known = self.loss[np.isfinite(self.loss)]
        found = [daily_loss("all rows", np.concatenate(everything), cutoffs, float(known.mean()))]
        if worst is not None:
            losses, inside = zip(*(self.rows_of(worst, window) for window in windows), strict=True)
            found.append(daily_loss(worst.name, np.concatenate(losses), np.concatenate(inside), worst.reference_loss))
        return tuple(found)

    def since(self, worst: Slice, windows: Sequence[CurrentWindow]) -> int | None:
        """The day since which a slice is worse, over all windows given."""
        losses, cutoffs = zip(*(self.rows_of(worst, window) for window in windows), strict=True)
        return worse_since(np.concatenate(losses), np.concatenate(cutoffs), worst.reference_loss)


def loss_name(metric: str) -> str:
    """What the loss of a row is called, for people."""
    return "log loss" if METRICS[metric].binary else "squared error" if metric == "rmse" else "absolute error"


def row_loss(table: pa.Table, metric: str) -> Floats:
    """Return the loss of each row [n], NaN where the label is immature: log loss, squared or absolute error."""
    y, p = column_floats(table, LABEL), column_floats(table, PREDICTION)
    if not METRICS[metric].binary:
        return np.asarray((y - p) ** 2 if metric == "rmse" else np.abs(y - p), dtype=np.float64)
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(-(y * np.log(clipped) + (1 - y) * np.log1p(-clipped)), dtype=np.float64)


def column_floats(table: pa.Table, name: str) -> Floats:
    """A column as numbers [n], NaN where it is missing or unreadable."""
    numbers = as_numbers(table[name]) if name in table.column_names else None
    return np.full(table.num_rows, np.nan) if numbers is None else np.asarray(numbers, dtype=np.float64)


def _texts(table: pa.Table, name: str) -> list[str | None]:
    if name not in table.column_names:
        return [None] * table.num_rows
    return [None if value is None else str(value) for value in table[name].to_pylist()]
