"""Records of the prediction journal: the rows of one write, checksummed as a whole; for `journal`.

    magic 4 | length of the payload 4 | CRC-32 of the payload 4 | payload

The payload is the length of a JSON text (4 bytes), that text, and the packed features of the rows one after another.
The JSON text holds the names of features that the segment does not have yet, and for each row its values in the order
of `prediction_rows.NAMES`, as texts and numbers; in place of packed features stands the number of their bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from headrace.prediction_log.packed_features import FeatureNames, PackedFeatures
from headrace.prediction_log.rows import NAMES, Prediction, checksum, encoded_values

_MAGIC = b"HRJ1"
_HEADER = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")
_FEATURES = NAMES.index("features")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The rows of one write.

    Attributes:
        rows: Values of each row in the order of `prediction_rows.STORED`.
        names: Names of features that the segment did not have before.
        end: Position behind the record in what was read.
    """

    rows: list[tuple[Any, ...]]
    names: list[FeatureNames]
    end: int


def encode_record(rows: Sequence[Prediction], names: Sequence[FeatureNames]) -> bytes:
    """Return the record of predictions. names: those of their features that the segment does not have yet."""
    values, blobs = [], []
    for row in rows:
        own = encoded_values(row)
        features = own[_FEATURES]
        if isinstance(features, bytes):
            own[_FEATURES] = len(features)
            blobs.append(features)
        values.append(own)
    text = orjson.dumps([[item.content for item in names], values])
    payload = b"".join((_LENGTH.pack(len(text)), text, *blobs))
    return _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload


def names_of_rows(rows: Sequence[Prediction], known: Mapping[bytes, FeatureNames]) -> list[FeatureNames]:
    """Return the names of the rows' packed features that are not known, each once."""
    used = {id(row.features.names): row.features.names for row in rows if isinstance(row.features, PackedFeatures)}
    return list({names.digest: names for names in used.values() if names.digest not in known}.values())


def read_records(data: bytes, start: int = 0) -> Iterator[Record]:
    """Yield the whole records from a position on, up to the first bytes that are none."""
    while (record := _record_at(data, start)) is not None:
        yield record
        start = record.end


def next_record(data: bytes, start: int) -> int | None:
    """Return the position of the next whole record at or behind a position; None where there is none."""
    while (start := data.find(_MAGIC, start)) >= 0:
        if _payload_at(data, start) is not None:
            return start
        start += 1
    return None


def _payload_at(data: bytes, start: int) -> memoryview | None:
    begin = start + _HEADER.size
    if len(data) < begin:
        return None
    magic, length, crc = _HEADER.unpack_from(data, start)
    payload = memoryview(data)[begin : begin + length]
    return payload if magic == _MAGIC and len(payload) == length and zlib.crc32(payload) == crc else None


def _record_at(data: bytes, start: int) -> Record | None:
    payload = _payload_at(data, start)
    if payload is None:
        return None
    (size,) = _LENGTH.unpack_from(payload)
    at = _LENGTH.size + size
    contents, values = orjson.loads(payload[_LENGTH.size : at])
    rows = []
    for own in values:
        own += [None] * (len(NAMES) - len(own))  # written before there were further columns
        if isinstance(own[_FEATURES], int):
            end = at + own[_FEATURES]
            own[_FEATURES], at = bytes(payload[at:end]), end
        rows.append((*own, checksum(own)))
    names = [FeatureNames.from_content(content) for content in contents]
    return Record(rows=rows, names=names, end=start + _HEADER.size + len(payload))
