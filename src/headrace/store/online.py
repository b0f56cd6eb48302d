"""The store as serving sees it: keys in, feature values out, each view with its tick, age and status.

Reads published.json and the online file directly: the same values as Feast's get_online_features (tested), without its
import (4.6 s), its registry cache (minutes old) and its milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.store.materialise import online_rows
from headrace.store.published import Published, View, path_of, read_published
from headrace.store.rows import Ask, Found

Status = Literal["FRESH", "STALE", "MISSING"]

#: A view is stale when its age reaches this many ticks: one for the tick it waits for, one for the refresh itself.
STALE_AFTER_TICKS = 2


@dataclass(frozen=True, kw_only=True)
class Age:
    """How old one view's values are for one key. MISSING: the key has no row there, or the view was never written.

    tick_us: the view's last refresh, known even where the key is missing. age_us: now minus that tick, >= 0.
    """

    status: Status
    tick_us: int | None
    age_us: int | None


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """One key's stored features: slug -> value (None where nothing is known), view name -> age."""

    values: dict[str, float | int | str | None]
    ages: dict[str, Age]


class OnlineStore:
    """Reads the features of any published service; a service published later is seen at the next read."""

    def __init__(self, root: Path, problem: Problem, *, stale_after_ticks: int = STALE_AFTER_TICKS) -> None:
        self._root = root.absolute()
        self._problem = problem
        self._stale_after_ticks = stale_after_ticks
        self._rows = online_rows(self._root)
        self._seen: tuple[tuple[int, int], Published] | None = None
        self._services: dict[str, list[tuple[View, tuple[str, ...]]]] = {}

    def read(self, service: str, keys: Sequence[Mapping[str, Any]], now_us: int) -> list[FeatureRow]:
        """Stored features for requests that carry the problem's join keys (None: no such entity), in their order.

        All values come from one state of the file. Raises NotFoundError for an unknown service, DataError for a
        request without a join key or with one of the wrong type.
        """
        published = self._published()
        asks = [
            Ask(
                view=view.name,
                join_keys=view.join_keys,
                columns=columns,
                keys=[_key(published, view, key) for key in keys],
            )
            for view, columns in self._columns(published, service)
        ]
        found = self._rows.read(asks)
        return [self._row(asks, found, at, now_us, published.tick_us) for at in range(len(keys))]

    def ages(self, service: str, now_us: int) -> dict[str, Age]:
        """View -> age of its last refresh, without any key: what a health check asks."""
        published, marks = self._published(), self._rows.watermarks()
        return {
            name: self._age(marks[name].tick_us if name in marks else None, name in marks, now_us, published.tick_us)
            for name in (view.name for view, _ in self._columns(published, service))
        }

    def _row(self, asks: Sequence[Ask], found: Sequence[Found], at: int, now_us: int, tick_us: int) -> FeatureRow:
        values: dict[str, float | int | str | None] = {}
        ages: dict[str, Age] = {}
        for ask, answer in zip(asks, found, strict=True):
            row = answer.rows[at]
            values.update(dict.fromkeys(ask.columns) if row is None else zip(ask.columns, row, strict=True))
            refreshed = None if answer.watermark is None else answer.watermark.tick_us
            ages[ask.view] = self._age(refreshed, row is not None, now_us, tick_us)
        return FeatureRow(values=values, ages=ages)

    def _age(self, refreshed_us: int | None, there: bool, now_us: int, tick_us: int) -> Age:
        if refreshed_us is None:
            return Age(status="MISSING", tick_us=None, age_us=None)
        age = max(0, now_us - refreshed_us)
        fresh: Status = "FRESH" if age < self._stale_after_ticks * tick_us else "STALE"
        return Age(status=fresh if there else "MISSING", tick_us=refreshed_us, age_us=age)

    def _published(self) -> Published:
        try:
            stat = path_of(self._root, self._problem.name).stat()
        except FileNotFoundError:
            return read_published(self._root, self._problem.name)
        version = (stat.st_ino, stat.st_mtime_ns)
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, read_published(self._root, self._problem.name))
            self._services = {}
        return self._seen[1]

    def _columns(self, published: Published, service: str) -> list[tuple[View, tuple[str, ...]]]:
        """The views of a service and what it takes from each; worked out once, for slugs cost more than reading."""
        found = self._services.get(service)
        if found is None:
            columns = published.service_columns(service)
            found = self._services[service] = [(published.view(name), slugs) for name, slugs in columns.items()]
        return found


def _key(published: Published, view: View, request: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(_key_value(published, name, request) for name in view.join_keys)


def _key_value(published: Published, name: str, request: Mapping[str, Any]) -> str | int | None:
    if name not in request:
        raise DataError(f"no join key {name!r}", where=published.problem, found=request)
    value = request[name]
    if value is None or isinstance(value, str if published.key_types[name] == "string" else int):
        return value
    raise DataError(f"{name!r} must be {published.key_types[name]}", where=published.problem, found=[repr(value)])
