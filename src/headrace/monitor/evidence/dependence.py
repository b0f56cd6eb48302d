"""How rows of a reference and a window depend on each other: blocks of time, and entities that rows share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from headrace.models.bundle import CUTOFF, LABEL
from headrace.monitor.evidence.clusters import Clusters
from headrace.monitor.evidence.limits import JoinedWindows
from headrace.monitor.evidence.persistence import LongWindow
from headrace.monitor.evidence.variance import Blocks


def blocks_of(reference: pa.Table, length_us: int) -> Blocks | None:
    """Return the blocks of the reference's rows; None without cutoffs, or where no length is given."""
    if CUTOFF not in reference.column_names or not length_us:
        return None
    return Blocks.from_cutoffs(reference[CUTOFF].to_numpy(), length_us)


def clusters_of(
    reference: pa.Table, current: pa.Table, blocks: Blocks | None, entities: Mapping[str, Sequence[str]]
) -> dict[str, tuple[Clusters, ...]]:
    """Return feature -> the entities of its rows."""
    if blocks is None:
        return {}
    names = {name for columns in entities.values() for name in columns}
    known = {
        name: Clusters.from_keys(reference[name], current[name], blocks)
        for name in names
        if name in reference.column_names and name in current.column_names
    }
    return {feature: tuple(known[name] for name in columns if name in known) for feature, columns in entities.items()}


def joined_windows(
    reference: pa.Table, windows: Sequence[LongWindow], blocks: Blocks | None, entities: Mapping[str, Sequence[str]]
) -> Callable[[str], tuple[JoinedWindows, ...]]:
    """Return a function from a feature to its values in each long window that has it."""
    clusters = [clusters_of(reference, item.table, blocks, entities) for item in windows]

    def joined(feature: str) -> tuple[JoinedWindows, ...]:
        return tuple(
            JoinedWindows(windows=item.windows, values=item.table[feature], clusters=of.get(feature, ()))
            for item, of in zip(windows, clusters, strict=True)
            if feature in item.table.column_names
        )

    return joined


def label_blocks_of(reference: pa.Table, blocks: Blocks | None) -> tuple[Any, Blocks | None]:
    """Return the known labels of the reference, and their blocks."""
    if LABEL not in reference.column_names:
        return None, blocks
    labels = reference[LABEL]
    if blocks is None:
        return labels.drop_null(), None
    return labels.drop_null(), blocks.subset(labels.is_valid().to_numpy())


def independence_note(length_us: int, blocks: Blocks | None) -> tuple[str, ...]:
    """Return a note where the variance between windows is requested but the reference has no cutoffs."""
    if not length_us or blocks is not None:
        return ()
    return ("the reference has no cutoffs: rows are treated as independent",)
