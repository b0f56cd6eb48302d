"""Refresh a problem's online rows at a tick, from tables in memory and without Feast: for events."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from headrace.core.clock import floor_to_tick
from headrace.core.errors import NotFoundError
from headrace.schema import Problem
from headrace.store.history import entity_rows
from headrace.store.materialise import online_rows
from headrace.store.online_file.tables import Watermark
from headrace.store.published import layout, published_path, read_published
from headrace.streaming.live import LiveTables

#: Seconds to wait for a refresh by the pipeline.
_LOCK_S = 60.0


def refresh(root: Path, problem: Problem, tables: LiveTables, tick_us: int) -> dict[str, int]:
    """Write every view of a problem at a tick, with the values that `materialise` would write.

    Args:
        root: home folder.
        problem: the problem.
        tables: its lake.
        tick_us: the tick; the production clock has reached it.

    Returns:
        View -> number of rows; nothing where no view is published yet, or all are at a later tick.
    """
    root = root.absolute()
    try:
        published = read_published(root, problem.name)
    except NotFoundError:
        return {}
    tick = floor_to_tick(tick_us, published.tick_us)
    rows, written = online_rows(root), {}
    with FileLock(root / "store" / "writer.lock", timeout=_LOCK_S, is_singleton=True):
        tables.synchronise()  # another process may have taken events of the tick meanwhile
        marks = rows.watermarks()
        for view in published.views:
            if view.name in marks and marks[view.name].tick_us > tick:
                continue
            mark = Watermark(view=view.name, tick_us=tick, rows=0, layout=layout(view), history=tables.fingerprint)
            chunks = entity_rows(published, problem, view, view.slugs, tables, tick)
            written[view.name] = rows.replace(mark, list(view.join_keys), list(view.slugs), chunks)
    return written


def is_published(root: Path, problem: Problem) -> bool:
    """Whether features of the problem are served."""
    return published_path(root.absolute(), problem.name).exists()
