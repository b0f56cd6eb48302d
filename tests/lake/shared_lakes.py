"""Homes that share a lake, and processes that die before their n-th operation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest

from headrace.lake import batch
from headrace.lake.object_store import changes, shared
from headrace.lake.object_store.cloud import CloudObjects
from headrace.lake.object_store.folder import FolderObjects
from headrace.lake.store import Lake
from headrace.schema import Table

THINGS, PARTS = (Table(name=name, key="id", source="-") for name in ("things", "parts"))


def things(values: dict[int, float | None]) -> pa.Table:
    """Rows of either table."""
    return pa.table({"id": list(values), "value": pa.array(list(values.values()), pa.float64())})


def lake_at(home: Path, address: str) -> Lake:
    """A home's lake as a new process sees it: nothing is remembered of an earlier look at the store."""
    shared._FOLLOWED.clear()
    return Lake(home, "p", store=address)


def state(lake: Lake) -> dict[str, Any]:
    """All that a reader can see of a lake."""
    lake.refresh()
    snapshot = lake.snapshot()
    return {
        "clock": lake.clock(),
        "fingerprint": snapshot.fingerprint,
        "batches": {name: [batch.batch_facts(one) | {"id": one.id} for one in lake.batches(name)]
                    for name in snapshot.tables},
        "rows": {name: snapshot.table(name).to_pylist() for name in snapshot.tables},
    }  # fmt: skip


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared is order and content, not what a power cut leaves."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class Killed(BaseException):
    """The process is gone: nothing catches it."""


#: What changes the store or the home while a lake is used.
_STEPS = (
    *((kind, name) for kind in (FolderObjects, CloudObjects) for name in ("create", "write", "read", "fetch", "names")),
    (batch, "write_manifest"),
    (changes, "write_manifest"),
    (changes, "write_index"),
    (changes.production_clock, "advance"),
    (shared, "write_index"),
    (shared, "write_state"),
    (Path, "rename"),
)


@contextmanager
def killed_at(step: int | None, then: Callable[[], None] | None = None) -> Iterator[list[str]]:
    """Raise Killed before the n-th step while the block runs; yields the names of the steps so far.

    Args:
        step: From 0; None: all steps are made.
        then: Called in place of raising Killed.
    """
    names: list[str] = []

    def die() -> None:
        raise Killed

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            names.append(name)
            if len(names) - 1 == step:
                (then or die)()
            return function(*arguments, **named)

        return call

    patches = [patch.object(place, name, counted(name, getattr(place, name))) for place, name in _STEPS]
    for one in patches:
        one.start()
    try:
        yield names
    finally:
        for one in patches:
            one.stop()
