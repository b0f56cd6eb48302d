"""Online rows in Redis: the same packed rows, watermarks and transactions as in the online file, for many servers.

A view is one hash, from the entity key as JSON to the packed row, after the event time of a pushed row. A refresh sends
the rows that changed and the watermark in one MULTI, so a reader sees the values and the tick of one refresh. A view
that is new, or whose columns changed, is written to a second hash first, which is then renamed. Rows of views that
Headrace did not synthesise have no layout and are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pyarrow as pa

from headrace.core.errors import CorruptError, DataError, UnavailableError
from headrace.core.redact import redact
from headrace.store.online_file.packed import DamagedRowError, PackedLayout
from headrace.store.online_file.tables import EVENT, MAX_VERIFIED_ROWS, RowQuery, RowResult, Watermark
from headrace.store.redis_encoding import (
    body_of,
    changed_row,
    event_of,
    key_field,
    pushed_row,
    row_result,
    watermark_of,
)

_TIMEOUT_S = 5.0


class RedisRows:
    """The online rows of all problems in one Redis database. Thread-safe.

    Args:
        url: Address of Redis, such as redis://localhost:6379/0 or unix:///run/redis.sock.
        prefix: Beginning of every key, where several installations share a database.
    """

    def __init__(self, url: str, prefix: str = "headrace") -> None:
        self.url = url
        self._prefix = prefix
        self._connected: Any = None

    def replace(
        self, watermark: Watermark, join_keys: Sequence[str], columns: Sequence[str], batches: Iterable[pa.Table]
    ) -> int:
        """Replace all rows of a view in one transaction; see `online_file.rows.RowStore.replace`."""
        view = watermark.view
        target, staged = self._rows(view), f"{self._rows(view)}:new"
        changed: dict[bytes, bytes] = {}
        seen: set[bytes] = set()
        layout: PackedLayout | None = None
        is_new = True
        with self._talking() as client:
            client.delete(staged)
            for batch in batches:
                own = PackedLayout.of(batch.schema, list(columns))
                if layout is None:
                    layout, is_new = own, not self._has_layout(client, view, own)
                keys = list(zip(*(batch[name].to_pylist() for name in join_keys), strict=True))
                encoded = zip(keys, own.encode(batch, keys), strict=True)
                rows = {key_field(key): pushed_row(row, None) for key, row in encoded}
                seen.update(rows)
                if is_new:
                    if rows:
                        client.hset(staged, mapping=rows)
                    continue
                present = client.hmget(target, list(rows)) if rows else []
                changed.update(
                    {field: row for (field, row), old in zip(rows.items(), present, strict=True) if row != old}
                )
            layout = layout or PackedLayout(tuple(columns), tuple("d" for _ in columns))
            with client.pipeline(transaction=True) as send:
                if is_new:
                    send.delete(target)
                    if seen:
                        send.rename(staged, target)
                else:
                    gone = [field for field in client.hkeys(target) if field not in seen]
                    if gone:
                        send.hdel(target, *gone)
                    if changed:
                        send.hset(target, mapping=changed)
                mark = [watermark.tick_us, len(seen), watermark.layout, watermark.history]
                send.hset(self._marks, view, json.dumps(mark))
                send.hset(self._layouts, view, layout.to_record())
                send.incr(self._version)
                send.execute()
        return len(seen)

    def upsert(
        self, view: str, join_keys: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert or update single rows in one transaction; see `RowStore.upsert`."""
        given = [(tuple(row[: len(join_keys)]), dict(zip(columns, row[len(join_keys) :], strict=True))) for row in rows]

        def send(client: Any) -> None:
            """Read and write; called again where another client wrote to the view meanwhile."""
            layout = self._layout(client, view)
            if layout and (unknown := [name for name in columns if name != EVENT and name not in layout.names]):
                raise DataError(f"no column {unknown[0]!r} before the next refresh", where=view, found=layout.names)
            fields = [key_field(key) for key, _ in given]
            present = dict(zip(fields, client.hmget(self._rows(view), fields) if fields else [], strict=True))
            for field, (key, values) in zip(fields, given, strict=True):
                present[field] = changed_row(layout, present[field], key, values)
            client.multi()
            if present:
                client.hset(self._rows(view), mapping=present)
            client.incr(self._version)

        with self._talking() as client:
            try:
                client.transaction(send, self._rows(view), self._layouts)
            except DamagedRowError:
                raise self._corrupt() from None

    def ensure(self, view: str, join_keys: Sequence[str], columns: Sequence[str], *, grow: bool = False) -> None:
        """Do nothing: a hash is made by its first row."""

    def drop(self, view: str) -> None:
        """Delete a view's rows and watermark."""
        with self._talking() as client, client.pipeline(transaction=True) as send:
            send.delete(self._rows(view))
            send.hdel(self._marks, view)
            send.hdel(self._layouts, view)
            send.incr(self._version)
            send.execute()

    def is_sound(self) -> bool:
        """Return True: Redis checks its own files."""
        return True

    def set_aside_if_damaged(self) -> None:
        """Do nothing: damaged rows are written anew by `replace`."""

    def watermarks(self) -> dict[str, Watermark]:
        """Return the watermark of every view that has one."""
        with self._talking() as client:
            found = client.hgetall(self._marks)
        return {view.decode(): watermark_of(view.decode(), mark) for view, mark in found.items()}

    def version(self) -> tuple[int, int] | None:
        """Return what changes with every write; None where Redis cannot be reached."""
        try:
            with self._talking() as client:
                return 0, int(client.get(self._version) or 0)
        except UnavailableError:
            return None

    def count(self, view: str) -> int:
        """Return the number of rows of a view."""
        with self._talking() as client:
            return int(client.hlen(self._rows(view)))

    def checksums_match(self, view: str) -> bool:
        """Whether all row checksums of a view match; True without a check for very large views."""
        with self._talking() as client:
            try:
                layout = self._layout(client, view)
                if layout is None or client.hlen(self._rows(view)) > MAX_VERIFIED_ROWS:
                    return True
                check = layout.decoder(())
                for field, row in client.hscan_iter(self._rows(view), count=1_000):
                    check(body_of(row), tuple(json.loads(field)), event_of(row))
            except DamagedRowError:
                return False
        return True

    def read(self, queries: Sequence[RowQuery]) -> list[RowResult]:
        """Read rows of several views in one transaction, with one round trip.

        Raises:
            CorruptError: A row is damaged.
            UnavailableError: Redis cannot be reached.
        """
        keys = [list(dict.fromkeys(key for key in query.keys if None not in key)) for query in queries]
        with self._talking() as client, client.pipeline(transaction=True) as send:
            for query, own in zip(queries, keys, strict=True):
                send.hget(self._marks, query.view)
                send.hget(self._layouts, query.view)
                send.hmget(self._rows(query.view), [key_field(key) for key in own] or [b""])
            found = send.execute()
        try:
            return [
                row_result(query, own, *found[3 * at : 3 * at + 3])
                for at, (query, own) in enumerate(zip(queries, keys, strict=True))
            ]
        except DamagedRowError:
            raise self._corrupt() from None

    def _layout(self, client: Any, view: str) -> PackedLayout | None:
        record = client.hget(self._layouts, view)
        return None if record is None else PackedLayout.from_record(record)

    def _has_layout(self, client: Any, view: str, layout: PackedLayout) -> bool:
        """Whether a view's rows are packed in this layout; False where its record is damaged."""
        try:
            return self._layout(client, view) == layout
        except DamagedRowError:
            return False

    def _corrupt(self) -> CorruptError:
        fix = "materialise again: the rows are written anew"
        return CorruptError("the online store is damaged", where=redact(self.url), fix=fix)

    def _rows(self, view: str) -> str:
        return f"{self._prefix}:rows:{view}"

    @property
    def _marks(self) -> str:
        return f"{self._prefix}:watermarks"

    @property
    def _layouts(self) -> str:
        return f"{self._prefix}:layouts"

    @property
    def _version(self) -> str:
        return f"{self._prefix}:version"

    @contextmanager
    def _talking(self) -> Iterator[Any]:
        """Yield the client; errors of Redis become an UnavailableError."""
        try:
            import redis
        except ImportError:
            raise UnavailableError(
                "the package of Redis is not installed", where=redact(self.url), fix="pip install 'headrace[redis]'"
            ) from None
        if self._connected is None:
            self._connected = redis.Redis.from_url(
                self.url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            )
        try:
            yield self._connected
        except redis.exceptions.RedisError as error:
            raise UnavailableError(
                f"Redis cannot be used: {redact(str(error))}",
                where=redact(self.url),
                fix="see that it runs and accepts this address",
            ) from error


@lru_cache(maxsize=16)
def redis_rows(url: str, prefix: str = "headrace") -> RedisRows:
    """Return the rows behind an address, with one pool of connections a process."""
    return RedisRows(url, prefix)
