"""Online rows in Redis: the same packed rows, watermarks and transactions as in the online file, for many servers.

A view is one hash, from the entity key as JSON to the packed row, after the event time of a pushed row. A refresh sends
the rows that changed and the watermark in one MULTI, so a reader sees the values and the tick of one refresh. A view
that is new, or whose columns changed, is written to a second hash first, which is then renamed. Rows of views that
Headrace did not synthesise have no layout and are JSON.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pyarrow as pa

from headrace.core.errors import CorruptError, DataError, UnavailableError
from headrace.core.redact import redact
from headrace.store.online_file.packed import DamagedRowError, PackedLayout
from headrace.store.online_file.tables import EVENT, RowQuery, RowResult, Watermark

_EVENT = struct.Struct("<q")
_NO_EVENT = -(2**63)
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
                    layout, is_new = own, self._layout(client, view) != own
                keys = list(zip(*(batch[name].to_pylist() for name in join_keys), strict=True))
                rows = dict(zip(map(_field, keys), map(_unpushed, own.encode(batch, keys)), strict=True))
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
                send.hset(self._layouts, view, layout.to_json())
                send.incr(self._version)
                send.execute()
        return len(seen)

    def upsert(
        self, view: str, join_keys: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Insert or update single rows; see `RowStore.upsert`."""
        with self._talking() as client:
            layout = self._layout(client, view)
            if layout and (unknown := [name for name in columns if name != EVENT and name not in layout.names]):
                raise DataError(f"no column {unknown[0]!r} before the next refresh", where=view, found=layout.names)
            for row in rows:
                key, given = tuple(row[: len(join_keys)]), dict(zip(columns, row[len(join_keys) :], strict=True))
                present = client.hget(self._rows(view), _field(key))
                values, event = self._decoded(layout, present, key) if present else ({}, None)
                event = given.pop(EVENT, event)
                values.update(given)
                packed = (
                    layout.encode_row([values.get(name) for name in layout.names], key, event)
                    if layout
                    else _json(values)
                )
                client.hset(self._rows(view), _field(key), _EVENT.pack(_NO_EVENT if event is None else event) + packed)
            client.incr(self._version)

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
        return {view.decode(): _watermark(view.decode(), mark) for view, mark in found.items()}

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
        """Whether all rows of a view match their checksums."""
        with self._talking() as client:
            layout = self._layout(client, view)
            if layout is None:
                return True
            try:
                for field, row in client.hscan_iter(self._rows(view), count=1_000):
                    self._decoded(layout, row, tuple(json.loads(field)))
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
                send.hmget(self._rows(query.view), [_field(key) for key in own] or [b""])
            found = send.execute()
        try:
            return [
                _result(query, own, *found[3 * at : 3 * at + 3])
                for at, (query, own) in enumerate(zip(queries, keys, strict=True))
            ]
        except DamagedRowError:
            fix = "materialise again: the rows are written anew"
            raise CorruptError("the online store is damaged", where=redact(self.url), fix=fix) from None

    def _decoded(self, layout: PackedLayout | None, row: bytes, key: tuple[Any, ...]) -> tuple[dict[str, Any], Any]:
        event = _event(row)
        if layout is None:
            return _from_json(row[_EVENT.size :]), event
        return dict(zip(layout.names, layout.decoder(layout.names)(row[_EVENT.size :], key, event), strict=True)), event

    def _layout(self, client: Any, view: str) -> PackedLayout | None:
        text = client.hget(self._layouts, view)
        return None if text is None else PackedLayout.from_json(text.decode())

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


@lru_cache(maxsize=256)
def _decoder(layout: str, columns: tuple[str, ...]) -> Any:
    return PackedLayout.from_json(layout).decoder(columns)


def _result(
    query: RowQuery, keys: list[tuple[Any, ...]], mark: bytes | None, layout: bytes | None, rows: list[bytes | None]
) -> RowResult:
    """Decode what Redis returned for a query. Without a watermark, or a column, every row is None."""
    names = tuple(name for name in query.columns if name != EVENT)
    decode = None
    if layout is not None:
        try:
            decode = _decoder(layout.decode(), names)
        except KeyError:
            return RowResult(watermark=None, rows=[None] * len(query.keys))
    values: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}
    for key, row in zip(keys, rows, strict=False):
        values[key] = None if row is None else _values(query, names, decode, row, key)
    return RowResult(
        watermark=None if mark is None else _watermark(query.view, mark),
        rows=[values.get(key) for key in query.keys],
    )


def _values(query: RowQuery, names: tuple[str, ...], decode: Any, row: bytes, key: tuple[Any, ...]) -> tuple[Any, ...]:
    event, body = _event(row), row[_EVENT.size :]
    if decode is not None:
        found = decode(body, key, event)
    else:
        stored = _from_json(body)
        found = tuple(stored.get(name) for name in names)
    if EVENT in query.columns:
        place = query.columns.index(EVENT)
        found = (*found[:place], event, *found[place:])
    return found or (1,)


def _watermark(view: str, text: bytes) -> Watermark:
    tick_us, rows, layout, history = json.loads(text)
    return Watermark(view=view, tick_us=tick_us, rows=rows, layout=layout, history=history)


def _field(key: Sequence[Any]) -> bytes:
    """Return the field of an entity key; bytes (Feast's serialised keys) as base64."""
    return json.dumps([_plain(part) for part in key], separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _unpushed(packed: bytes) -> bytes:
    return _EVENT.pack(_NO_EVENT) + packed


def _event(row: bytes) -> int | None:
    if len(row) < _EVENT.size:
        raise DamagedRowError
    (event,) = _EVENT.unpack_from(row)
    return None if event == _NO_EVENT else int(event)


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps({name: _plain(value) for name, value in values.items()}).encode()


def _from_json(text: bytes) -> dict[str, Any]:
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value
        for name, value in json.loads(text).items()
    }
