"""Repair Feast's materialisation intervals: remove those that end after the tick that a view was materialised at.

`feast materialize-incremental` starts at the latest end that any interval has. One end in the future is the start of
every later run, and Feast's monitoring calls the view fresh until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from feast import FeatureStore, FeatureView

from headrace.core.clock import from_us

Interval = tuple[datetime, datetime]


def repair_intervals(store: FeatureStore, views: Sequence[str], tick_us: int) -> None:
    """Remove intervals of views that end after the tick at which the views were just materialised.

    Args:
        store: The Feast store.
        views: Names of the views.
        tick_us: That tick, microseconds UTC.
    """
    reached = from_us(tick_us)
    for name in views:
        view = store.registry.get_feature_view(name, store.project)
        sound = [interval for interval in view.materialization_intervals if _is_sound(interval, reached)]
        if len(sound) < len(view.materialization_intervals):
            _replace(store, view, sound or [(reached, reached)])


def _is_sound(interval: Interval, reached: datetime) -> bool:
    start, end = interval
    return start <= end <= reached


def _replace(store: FeatureStore, view: FeatureView, intervals: list[Interval]) -> None:
    # Never an empty list: Feast would keep the old intervals instead.
    view.materialization_intervals = intervals
    store.registry.apply_feature_view(view, store.project, commit=True)
