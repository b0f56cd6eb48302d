"""A logged prediction as a row of the log: columns, statements, JSON and checksum; for `log`."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal

import orjson

from headrace.core.clock import NEVER
from headrace.lake.keys import KeyValue
from headrace.prediction_log.packed_features import EncodedMapping, FeatureNames, PackedFeatures


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One answer and everything needed to check it later.

    id: the same for the same prediction made again. cutoff_us, made_us: on the production clock. request: columns that
    came with the request. features: slug -> value that went into the model. ticks: feature view -> the tick its values
    are of (us). statuses: feature view -> FRESH, STALE or MISSING. probability: None where the policy abstained.
    row_key: key of the spine's row, empty where the request names none. Keys are canonical (`lake.keys`). source: score
    (a due row), api (an answered request), shadow (of a version that answered nothing; id: `shadow_id` of the answer).
    request_id: id of the HTTP request, None for rows that no request asked for.
    """

    id: str
    cutoff_us: int
    made_us: int
    model_version: str
    join_keys: Mapping[str, KeyValue]
    probability: float | None
    source: Literal["score", "api", "shadow"]
    request: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, float | str | None] = field(default_factory=dict)
    ticks: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    row_key: Sequence[Any] = ()
    request_id: str | None = None


def shadow_id(answer: str) -> str:
    """Return the id of the shadow prediction that belongs to an answer."""
    return f"shadow-{answer}"


NAMES = tuple(item.name for item in fields(Prediction))
_JSON = frozenset({"join_keys", "request", "features", "ticks", "statuses", "row_key"})
_JSON_POSITIONS = tuple(at for at, name in enumerate(NAMES) if name in _JSON)
_values_of = attrgetter(*NAMES)
_PROBABILITY = NAMES.index("probability")
#: A row that is inserted and taken back: made after all others, so that it goes where the next ones will.
PROBE = Prediction(
    id="", cutoff_us=NEVER, made_us=NEVER, model_version="", join_keys={}, probability=None, source="api"
)
#: Every row carries a checksum of its values: null in rows of before.
CHECKSUM = "row_sum"
#: Columns that logs of earlier versions lack.
ADDED = ("request_id", CHECKSUM)
STORED = ", ".join((*NAMES, CHECKSUM))
#: Rows of one statement: while it runs, other threads do.
ROWS_AT_ONCE = 64


INSERT_NAMES = "INSERT OR IGNORE INTO feature_names (digest, content) VALUES (?, ?)"


def to_row(prediction: Prediction) -> tuple[Any, ...]:
    """Return the values of a prediction's row, in the order of `STORED`."""
    values = encoded_values(prediction)
    return (*values, checksum(values))


def encoded_values(prediction: Prediction) -> list[Any]:
    """Return the values of a prediction's row without its checksum, in the order of `NAMES`."""
    values = list(_values_of(prediction))
    for at in _JSON_POSITIONS:
        value = values[at]
        kind = type(value)
        if kind is EncodedMapping:
            values[at] = value.text
        elif kind is PackedFeatures:
            values[at] = value.to_bytes()
        else:
            values[at] = _text(value)
    if prediction.probability is not None:
        values[_PROBABILITY] = float(prediction.probability)  # as SQLite gives it back
    return values


def checksum(values: Sequence[Any]) -> int:
    """Return the checksum of a row's values; an absent request id is left out, as in rows that were written before."""
    return zlib.crc32(repr(tuple(values if values[-1] is not None else values[:-1])).encode())


@lru_cache(maxsize=ROWS_AT_ONCE)
def insert_statement(rows: int) -> str:
    """Return the statement that inserts so many rows."""
    marks = f"({', '.join('?' * (len(NAMES) + 1))})"
    return f"INSERT OR IGNORE INTO predictions ({STORED}) VALUES {', '.join([marks] * rows)}"


#: Instants as `str` writes them; NumPy's numbers as numbers.
_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SERIALIZE_NUMPY
_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str)


def _text(value: Any) -> str:
    """Return a mapping or sequence as JSON; NaN becomes null."""
    plain = type(value) in (dict, list)
    value_to_encode = value if plain else dict(value) if isinstance(value, Mapping) else list(value)
    try:
        return orjson.dumps(value_to_encode, default=str, option=_OPTIONS).decode()
    except TypeError:  # lone surrogates, integers of more than 64 bits, names that are no texts: rare
        return _slow_text(value_to_encode)


def _slow_text(value_to_encode: Any) -> str:
    try:
        return _encoder.encode(value_to_encode)
    except ValueError:
        if isinstance(value_to_encode, dict):
            return _encoder.encode({name: _finite(item) for name, item in value_to_encode.items()})
        return _encoder.encode([_finite(item) for item in value_to_encode])


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_row(row: tuple[Any, ...], names_of: Callable[[bytes], FeatureNames]) -> Prediction:
    """Return the prediction of a row. names_of: digest -> names of packed features."""
    values = dict(zip(NAMES, row, strict=True))
    return Prediction(**{name: _decoded(value, names_of) if name in _JSON else value for name, value in values.items()})


def _decoded(value: str | bytes, names_of: Callable[[bytes], FeatureNames]) -> Any:
    return PackedFeatures.from_bytes(value, names_of) if isinstance(value, bytes) else json.loads(value)
