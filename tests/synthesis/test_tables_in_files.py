"""What is read from large tables in files, a part at a time, is what is read from the same tables in memory."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.synthesis.candidates.enumerate import enumerate_candidates
from headrace.synthesis.engines import LocalEngine, PartitionedLocalEngine
from headrace.synthesis.history.entities import entity_keys
from headrace.synthesis.history.joins import check_joins
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import ParquetTables, store_tables
from headrace.synthesis.spine import effective_rows
from headrace.synthesis.spine.build import build_spine, spine_key_types
from headrace.testing.random_world import random_world
from headrace.testing.shop_definitions import scheduled
from headrace.testing.shop_world import World, at, problem, us

seeds = st.integers(0, 2**32)
NAMES = ("customers", "orders", "visits")
SEVERAL = dataclasses.replace(scheduled, label='sum("visits.seconds", horizon="4h", where=\'page == "home"\') > 2')


@contextmanager
def in_files(snapshot: Tables, rows: int) -> Iterator[ParquetTables]:
    """The tables of a snapshot in files, so many rows a row group."""
    with tempfile.TemporaryDirectory() as name:
        yield store_tables(snapshot, NAMES, Path(name), row_group_rows=rows)


@settings(max_examples=10, deadline=None)
@given(world=seeds, rows=st.integers(1, 9), start=st.none() | st.integers(0, 40), length=st.integers(1, 40))
def test_a_spine_of_rows(world: int, rows: int, start: int | None, length: int) -> None:
    snapshot = random_world(world)
    with in_files(snapshot, rows) as tables:
        begin, end = (None, None) if start is None else (us(start), us(start + length))
        one, other = (
            build_spine(problem, each, start_us=begin, end_us=end, now_us=us(25), engine=LocalEngine())
            for each in (snapshot, tables)
        )
        assert one.equals(other)
        assert spine_key_types(problem, tables) == spine_key_types(problem, snapshot)


@settings(max_examples=7, deadline=None)
@given(world=seeds, rows=st.integers(1, 9), declared=st.sampled_from([scheduled, SEVERAL]), now=st.integers(1, 40))
def test_a_schedule_with_labels_of_a_horizon(world: int, rows: int, declared: Problem, now: int) -> None:
    """By the local engine and in partitions."""
    snapshot = random_world(world)
    with in_files(snapshot, rows) as tables, pytest.MonkeyPatch.context() as patch:
        patch.setattr(effective_rows, "_KEYS_AT_ONCE", 2)
        expected = build_spine(declared, snapshot, now_us=us(now), engine=LocalEngine())
        for engine in (LocalEngine(), PartitionedLocalEngine(min_rows=0, partition_bytes=5_000)):
            assert build_spine(declared, tables, now_us=us(now), engine=engine).equals(expected)


@settings(max_examples=7, deadline=None)
@given(world=seeds, rows=st.integers(1, 9), tick=st.integers(1, 40))
def test_entities_joins_and_candidates(world: int, rows: int, tick: int) -> None:
    snapshot = random_world(world)
    deep = dataclasses.replace(problem, depth=2, where="auto")
    with in_files(snapshot, rows) as tables:
        for entity in problem.all_entities:
            keys = entity_keys(problem, entity.name, snapshot, us(tick))
            assert entity_keys(problem, entity.name, tables, us(tick)).equals(keys)
        assert check_joins(problem, tables) == check_joins(problem, snapshot)
        schemas = {name: snapshot.table(name).schema for name in NAMES}
        assert enumerate_candidates(deep, schemas, tables) == enumerate_candidates(deep, schemas, snapshot)


def test_orphans_in_any_part_are_counted_and_explained() -> None:
    customers = [{"customer": key} for key in ("a", "B")]
    orders = [{"order_id": number, "customer": key, "planned": at(1)} for number, key in enumerate(["a", "b", "b"])]
    snapshot = World({"customers": customers, "orders": orders})
    with in_files(snapshot, 1) as tables:
        assert check_joins(problem, tables) == check_joins(problem, snapshot)
        assert any("in lower case" in join.message for join in check_joins(problem, tables))


class _Numbered(World):
    columns: ClassVar = {**World.columns, "customers": {**World.columns["customers"], "customer": pa.int64()}}


def test_keys_of_two_kinds_are_named_from_files_too() -> None:
    snapshot = _Numbered({"customers": [{"customer": 7}], "orders": [{"order_id": 1, "customer": "a"}]})
    messages = []
    with in_files(snapshot, 1) as tables:
        for each in (snapshot, tables):
            with pytest.raises(DataError) as refused:
                check_joins(problem, each)
            messages.append(str(refused.value))
    assert messages[0] == messages[1]
