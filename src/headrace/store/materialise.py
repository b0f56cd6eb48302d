"""Materialise the online store at a tick, and check cheaply whether it is there.

A view is written in one transaction together with its watermark (in online.db), so a killed run leaves whole views, and
the next run writes what is missing. store/<problem>/watermark.json repeats the watermarks for people and `status`.
Feast's intervals are only a mirror: `feast apply` can wipe them, and one end in the future would block them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.clock import floor_to_tick, from_us, iso
from headrace.core.errors import ConflictError, NotFoundError
from headrace.core.files import write_json
from headrace.lake.store import Lake
from headrace.schema import Problem
from headrace.store.backends import chosen_backends
from headrace.store.online_file.rows import RowStore
from headrace.store.online_file.tables import Watermark
from headrace.store.published import Published, View, layout, read_published
from headrace.store.redis_rows import redis_rows
from headrace.store.row_interface import OnlineRows

if TYPE_CHECKING:
    from feast import FeatureStore

_log = logging.getLogger(__name__)


def online_rows(root: Path) -> OnlineRows:
    """Return the online rows of a home folder: in Redis where its feature_store.yaml says so, else in its file."""
    chosen = chosen_backends(root.absolute()).get("online_store", {})
    if _is_own_redis(chosen):
        return redis_rows(str(chosen.get("url", "")), str(chosen.get("prefix", "headrace")))
    return RowStore(root.absolute() / "store" / "online.db")


def _is_own_redis(chosen: Mapping[str, Any]) -> bool:
    return str(chosen.get("type", "")).endswith(".HeadraceRedisOnlineStore")


def _is_foreign(root: Path) -> bool:
    """Whether rows are also written to an online store that is not Headrace's."""
    chosen = chosen_backends(root.absolute()).get("online_store", {})
    return bool(chosen) and not _is_own_redis(chosen)


def watermarks(root: Path, problem: Problem) -> dict[str, Watermark]:
    """Return view -> watermark for the views of one problem."""
    views = {view.name for view in read_published(root, problem.name).views}
    return {name: mark for name, mark in online_rows(root).watermarks().items() if name in views}


def online_is_empty(root: Path, problem: Problem) -> bool:
    """Whether any published view is absent, incomplete or of an older layout. Fast: without importing Feast."""
    rows = online_rows(root)
    marks = rows.watermarks()
    return not rows.is_sound() or any(
        not _is_complete(view, marks.get(view.name), rows) for view in read_published(root, problem.name).views
    )


def views_ahead(root: Path, problem: Problem) -> dict[str, Watermark]:
    """Return view -> watermark for the views whose last refresh is later than the production clock.

    Feast's own commands could write such ticks before the store refused them, and a clock may have been set back.
    """
    clock = Lake(root, problem.name).clock()
    marks = watermarks(root, problem)
    return {name: mark for name, mark in marks.items() if clock is not None and mark.tick_us > clock}


def views_ahead_note(root: Path, problem: Problem) -> str:
    """Return a note about views beyond the clock, for use before `materialise` resets them; empty without any."""
    found = views_ahead(root, problem)
    views = ", ".join(f"{name} at {iso(mark.tick_us)}" for name, mark in found.items())
    return f"the online store was beyond the production clock ({views}) and was written anew" if found else ""


def online_is_current(root: Path, problem: Problem, tick_us: int) -> bool:
    """Whether every view is complete at this tick and computed from the present history."""
    return not _stale(root, problem, tick_us)[1]


def materialise(root: Path, problem: Problem, tick_us: int) -> dict[str, int]:
    """Materialise every view of a problem at the last tick at or before `tick_us`.

    The tick is never later than the production clock, and never earlier than that of a view which is not beyond the
    clock. Views that are current are not written again.

    Returns:
        View -> number of rows.

    Raises:
        NotFoundError: Nothing is published or loaded yet.
    """
    root = root.absolute()
    if _stale(root, problem, tick_us)[1]:
        _write(root, problem, tick_us)
    marks = watermarks(root, problem)
    record = {name: {"tick_us": mark.tick_us, "rows": mark.rows} for name, mark in marks.items()}
    write_json(root / "store" / problem.name / "watermark.json", record)
    return {name: mark.rows for name, mark in marks.items()}


def _write(root: Path, problem: Problem, tick_us: int) -> None:
    """Materialise stale views through Feast, one process at a time."""
    from headrace.store.feast_registry import register, register_missing
    from headrace.store.intervals import repair_intervals
    from headrace.store.repo import with_sound_registry, writing

    with writing(root):
        online_rows(root).set_aside_if_damaged()
        target, stale = _stale(root, problem, tick_us)
        if not stale:
            return
        for view in stale:
            if not online_rows(root).checksums_match(view.name):
                _log.warning("rows of view %s are damaged in the online store: they are written anew", view.name)
        published, names = read_published(root, problem.name), [view.name for view in stale]

        def write(store: FeatureStore) -> None:
            register_missing(store, published)
            if _is_foreign(root):  # the tables of a store that was chosen after the views were published
                register(store, published)
            start = from_us(target - problem.tick_us)
            store.materialize(start_date=start, end_date=from_us(target), feature_views=names)
            repair_intervals(store, names, target)

        with_sound_registry(root, write)
        if remaining := _stale(root, problem, tick_us)[1]:
            raise ConflictError(
                "the views or their history changed while they were materialised",
                where=problem.name,
                found=[view.name for view in remaining],
                fix="run it again",
            )


def _stale(root: Path, problem: Problem, tick_us: int) -> tuple[int, list[View]]:
    """Return the tick to materialise, and the views that are not current at it."""
    published, lake, rows = read_published(root, problem.name), Lake(root, problem.name), online_rows(root)
    clock = lake.clock()
    if clock is None:
        fix = f"run `headrace run {problem.name}` first"
        raise NotFoundError("nothing was loaded yet", where=problem.name, fix=fix)
    target, history, marks = _target(published, rows, tick_us, clock), lake.snapshot().fingerprint, rows.watermarks()

    sound = rows.is_sound()

    def current(view: View) -> bool:
        mark = marks.get(view.name)
        return (
            sound
            and mark is not None
            and (mark.tick_us, mark.history) == (target, history)
            and _is_complete(view, mark, rows)
        )

    return target, [view for view in published.views if not current(view)]


def _target(published: Published, rows: OnlineRows, tick_us: int, clock_us: int) -> int:
    """Return the tick to materialise, clamped to the clock; watermarks beyond the clock are ignored."""
    marks = rows.watermarks()
    reached = [marks[view.name].tick_us for view in published.views if view.name in marks]
    target = max([min(tick_us, clock_us), *(tick for tick in reached if tick <= clock_us)])
    return floor_to_tick(target, published.tick_us)


def _is_complete(view: View, mark: Watermark | None, rows: OnlineRows) -> bool:
    same = mark is not None and mark.layout == layout(view) and mark.rows == rows.count(view.name)
    return same and rows.checksums_match(view.name)
