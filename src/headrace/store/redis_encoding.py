"""Encode keys, packed rows and watermarks as Redis stores them, and decode them again, for `redis_rows`.

A field of a view's hash is the entity key as JSON. Its value is the event time of a pushed row (int64, little endian; a
fixed number where there is none) and then the packed row, or JSON in a view that has no layout.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from headrace.store.online_file.packed import DamagedRowError, PackedLayout
from headrace.store.online_file.tables import EVENT, RowQuery, RowResult, Watermark

_EVENT = struct.Struct("<q")
_NO_EVENT = -(2**63)


@lru_cache(maxsize=256)
def _decoder(layout: bytes, columns: tuple[str, ...]) -> Any:
    return PackedLayout.from_record(layout).decoder(columns)


def row_result(
    query: RowQuery, keys: list[tuple[Any, ...]], mark: bytes | None, layout: bytes | None, rows: list[bytes | None]
) -> RowResult:
    """Decode what Redis returned for a query. Without a watermark, or a column, every row is None."""
    names = tuple(name for name in query.columns if name != EVENT)
    decode = None
    if layout is not None:
        try:
            decode = _decoder(layout, names)
        except KeyError:
            return RowResult(watermark=None, rows=[None] * len(query.keys))
    values: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}
    for key, row in zip(keys, rows, strict=False):
        values[key] = None if row is None else _values(query, names, decode, row, key)
    return RowResult(
        watermark=None if mark is None else watermark_of(query.view, mark),
        rows=[values.get(key) for key in query.keys],
    )


def _values(query: RowQuery, names: tuple[str, ...], decode: Any, row: bytes, key: tuple[Any, ...]) -> tuple[Any, ...]:
    event, body = event_of(row), body_of(row)
    if decode is not None:
        found = decode(body, key, event)
    else:
        stored = from_json_row(body)
        found = tuple(stored.get(name) for name in names)
    if EVENT in query.columns:
        place = query.columns.index(EVENT)
        found = (*found[:place], event, *found[place:])
    return found or (1,)


def watermark_of(view: str, text: bytes) -> Watermark:
    """Decode a view's watermark."""
    tick_us, rows, layout, history = json.loads(text)
    return Watermark(view=view, tick_us=tick_us, rows=rows, layout=layout, history=history)


def key_field(key: Sequence[Any]) -> bytes:
    """Return the field of an entity key; bytes (Feast's serialised keys) as base64."""
    return json.dumps([_plain(part) for part in key], separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def event_of(row: bytes) -> int | None:
    """Return the event time (us) of a pushed row; None for a row of a refresh."""
    if len(row) < _EVENT.size:
        raise DamagedRowError
    (event,) = _EVENT.unpack_from(row)
    return None if event == _NO_EVENT else int(event)


def json_row(values: dict[str, Any]) -> bytes:
    """Encode the row of a view without a layout."""
    return json.dumps({name: _plain(value) for name, value in values.items()}).encode()


def from_json_row(text: bytes) -> dict[str, Any]:
    """Decode what `json_row` encoded."""
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value
        for name, value in json.loads(text).items()
    }


def pushed_row(packed: bytes, event: int | None) -> bytes:
    """Return a row with the event time of its push (us); None: it was not pushed."""
    return _EVENT.pack(_NO_EVENT if event is None else event) + packed


def body_of(row: bytes) -> bytes:
    """Return a row without the event time of its push: packed, or JSON."""
    return row[_EVENT.size :]


def changed_row(
    layout: PackedLayout | None, present: bytes | None, key: tuple[Any, ...], changes: dict[str, Any]
) -> bytes:
    """Return a row with some columns changed.

    Args:
        layout: Of the view; None for rows in JSON.
        present: The row as it is; None for a new one, whose other columns are missing.
        key: Its entity key.
        changes: Column -> new value, EVENT among them to set the event time.

    Raises:
        DamagedRowError: The present row differs from its checksum.
    """
    values, event = {}, None
    if present is not None:
        event, body = event_of(present), body_of(present)
        if layout is None:
            values = from_json_row(body)
        else:
            values = dict(zip(layout.names, layout.decoder(layout.names)(body, key, event), strict=True))
    event = changes.get(EVENT, event)
    values |= {name: value for name, value in changes.items() if name != EVENT}
    packed = layout.encode_row([values.get(name) for name in layout.names], key, event) if layout else json_row(values)
    return pushed_row(packed, event)
