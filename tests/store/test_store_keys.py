"""A join key of any type: as the lake's rows, a training frame and a request have it, it is one stored key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from headrace.core.errors import DataError
from headrace.store.history import stored_keys
from headrace.store.online import _key_value
from headrace.store.published import KEY_TYPES, LAKE_TYPES, KeyType

WHEN = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "lake", "request_"),
    [
        ("string", "c01", "c01"),
        ("int64", 2**60, 2**60),
        ("float64", 0.1, 0.1),
        ("float64", 7.0, 7),
        ("float64", 2.0**53, 2**53),
        ("boolean", True, True),
        ("time", WHEN, "2024-03-01T13:00:00+01:00"),
        ("time", WHEN + timedelta(microseconds=1), "2024-03-01T12:00:00.000001Z"),
        ("time", WHEN.replace(hour=0), "2024-03-01"),
    ],
)
def test_a_request_finds_the_key_of_the_lake(kind: KeyType, lake: Any, request_: Any) -> None:
    stored = stored_keys(pa.chunked_array([pa.array([lake, None], LAKE_TYPES[kind])]), kind)
    published: Any = SimpleNamespace(problem="p", key_types={"key": kind})
    assert stored.type == KEY_TYPES[kind]
    assert stored.to_pylist() == [_key_value(published, "key", {"key": request_}), None]
    assert stored.cast(LAKE_TYPES[kind])[0].as_py() == lake  # the engine reads it back


@pytest.mark.parametrize(("kind", "given"), [("time", "2024-03-01T12:00:00"), ("float64", "much"), ("boolean", 1)])
def test_a_key_of_another_type_is_refused(kind: KeyType, given: Any) -> None:
    published: Any = SimpleNamespace(problem="p", key_types={"key": kind})
    with pytest.raises(DataError, match="must be"):
        _key_value(published, "key", {"key": given})
