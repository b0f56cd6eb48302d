"""A run below a memory limit writes what one without writes: the same stages, found done by each other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest

from headrace.app.context import context_of as open_context
from headrace.core.clock import to_us
from headrace.core.errors import DataError
from headrace.core.files import read_json
from headrace.core.memory import resident_bytes
from headrace.core.settings import settings
from headrace.lake.conform import conform
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.stage import FinishedStage, run
from headrace.pipeline.stages.ingest import IngestOutput
from headrace.pipeline.stages.memory_check import fits_in_memory, require_fit_memory
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.training_matrix import TRAINING_MATRIX
from headrace.pipeline.stages.training_set import TRAINING
from headrace.schema.table import Source
from headrace.synthesis.engines import PartitionedLocalEngine, SparkEngine, default_engine, engine_of
from tests.tiny_problem import write_tiny_problem

END = to_us("2024-03-05")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    found = open_context(str(write_tiny_problem(tmp_path / "problem", orders=600)), tmp_path / "free")
    return loaded(found)


def loaded(context: Context) -> Context:
    """Everything as history."""
    for table in context.problem.entity_set.tables:
        assert isinstance(table.source, Source)
        rows = conform(table, table.source.read(), allow_empty=False)
        Lake(context.root, context.problem.name).append(table, rows, arrival_us=END, bootstrap=True)
    return context


def stages(context: Context) -> tuple[FinishedStage[Any], FinishedStage[Any]]:
    ingest = FinishedStage(
        name="ingest",
        output=IngestOutput(snapshot="", until_us=END, tables={}, batches=(), quarantined=()),
        folder=context.root,
        digest="given",
    )
    made = run(SYNTHESISE, context, {"ingest": ingest})[0]
    return made, run(SELECT, context, {"ingest": ingest, "synthesise": made})[0]


def test_the_same_files_from_parts(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    engine = default_engine(max_memory=resident_bytes() + 500_000_000, progress=lines.append)
    limited = replace(context, root=tmp_path / "limited", engine=engine)
    monkeypatch.setattr("headrace.synthesis.engines.MemoryLimitedEngine.fits", lambda *_: False)
    whole, parts = stages(context), stages(loaded(limited))
    assert any(line.endswith("row groups") for line in lines)
    for one, other in zip(whole, parts, strict=True):
        assert one.folder.name == other.folder.name  # a limit is no part of what a stage is known by
        assert read_json(one.folder / "definitions.json") == read_json(other.folder / "definitions.json")
        assert read_json(one.folder / "stage.json") == read_json(other.folder / "stage.json")
    one, other = (pq.read_table(done[0].folder / "candidates.parquet") for done in (whole, parts))
    assert one.equals(other)
    assert read_json(whole[1].folder / "ledger.json") == read_json(parts[1].folder / "ledger.json")


def test_the_same_files_from_the_partitioned_engine(context: Context, tmp_path: Path) -> None:
    """Features of rows and of rows of rows, by key and by time."""
    lines: list[str] = []
    engine = PartitionedLocalEngine(min_rows=0, partition_bytes=60_000, progress=lines.append)
    divided = loaded(replace(context, root=tmp_path / "divided", engine=engine))
    whole, parts = stages(context), stages(divided)
    assert any(line.endswith("partitions") and not line.startswith("1 of 1 ") for line in lines)
    for one, other in zip(whole, parts, strict=True):
        assert one.folder.name == other.folder.name
        assert read_json(one.folder / "stage.json") == read_json(other.folder / "stage.json")
    one, other = (pq.read_table(done[0].folder / "candidates.parquet") for done in (whole, parts))
    assert one.equals(other)


class _Shared(PartitionedLocalEngine):
    """Reads tables from a folder that all workers reach."""

    folder: ClassVar[Path]

    @property
    def staging(self) -> Path | None:
        return self.folder


@pytest.mark.parametrize("shared", [False, True])
def test_the_same_files_from_large_tables(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Every table is read from files; none is loaded."""
    monkeypatch.setattr(_Shared, "folder", tmp_path, raising=False)
    engine = (_Shared if shared else PartitionedLocalEngine)(min_rows=0, partition_bytes=60_000)
    divided = loaded(replace(context, root=tmp_path / "divided", engine=engine))
    whole = stages(context)
    monkeypatch.setattr("headrace.lake.snapshot.LARGE_BYTES", -1)
    monkeypatch.setattr("headrace.lake.snapshot.Snapshot.table", lambda *_: pytest.fail("a large table was loaded"))
    parts = stages(divided)
    for one, other in zip(whole, parts, strict=True):
        assert one.folder.name == other.folder.name
        assert read_json(one.folder / "stage.json") == read_json(other.folder / "stage.json")
    one, other = (pq.read_table(done[0].folder / "candidates.parquet") for done in (whole, parts))
    assert one.equals(other)


def test_large_tables_below_a_limit_are_refused_before_they_are_loaded(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.lake.snapshot.LARGE_BYTES", -1)
    limit = resident_bytes() + 33_000_000
    monkeypatch.setattr("headrace.lake.snapshot.Snapshot.table_bytes", lambda *_: 1_000_000_000)
    with pytest.raises(DataError, match=r'engine="local" holds its tables.*orders 1,000 MB.*engine="partitioned"'):
        stages(replace(context, engine=default_engine(max_memory=limit)))
    monkeypatch.setattr("headrace.synthesis.spine.spine_rows._ROW_BYTES", 1e9)
    with pytest.raises(DataError, match=r"a prediction for each of 600 rows of orders.*give at least") as refused:
        stages(replace(context, max_memory=limit, engine=PartitionedLocalEngine(max_memory=limit)))
    assert refused.value.facts["enough_mb"] > 600_000


def test_a_problem_names_an_engine_and_settings_name_its_machines(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_SPARK_REMOTE", "sc://host:15002")
    settings.cache_clear()
    try:
        spark = engine_of(replace(context.problem, engine="spark"), max_memory=4_000_000_000)
        partitioned = engine_of(replace(context.problem, engine="partitioned"), max_memory=4_000_000_000)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert isinstance(spark, SparkEngine)
    assert (spark.remote, spark.max_memory) == ("sc://host:15002", 4_000_000_000)
    assert isinstance(partitioned, PartitionedLocalEngine)


def test_a_limit_below_which_a_family_cannot_fit_is_refused_with_one_that_would_do(context: Context) -> None:
    require_fit_memory(context, 10**9, 100, ["linear"])
    limited = replace(context, max_memory=resident_bytes() + 500_000_000)
    assert fits_in_memory(limited, 100_000, 100)
    assert not fits_in_memory(limited, 1_000_000, 100)
    require_fit_memory(limited, 1_000_000, 100, ["lightgbm"])
    with pytest.raises(DataError, match=r"fit linear: 1,000,000 training rows of 100 features.*\('lightgbm',\)"):
        require_fit_memory(limited, 1_000_000, 100, ["lightgbm", "linear"])
    with pytest.raises(DataError, match=r"10,000,000 training rows of 100 features.*max_train_rows") as refused:
        require_fit_memory(limited, 10_000_000, 100, ["lightgbm"])
    assert refused.value.facts["enough_mb"] > 2_500


def test_a_training_set_without_a_store_is_the_same_from_slices(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesised, selected = stages(context)
    inputs = {"synthesise": synthesised, "select": selected}
    whole = run(TRAINING_MATRIX, context, inputs)[0]
    table = pq.read_table(whole.path(TRAINING))
    shutil.rmtree(whole.folder)
    monkeypatch.setattr("headrace.pipeline.stages.training_matrix.fits_in_memory", lambda *_, **__: False)
    monkeypatch.setattr("headrace.pipeline.stages.training_matrix.SLICE_ROWS", 70)
    slices = run(TRAINING_MATRIX, context, inputs)[0]
    assert slices.output == whole.output
    assert pq.ParquetFile(slices.path(TRAINING)).num_row_groups > 1
    assert pq.read_table(slices.path(TRAINING)).equals(table)


def test_too_little_leaves_nothing_behind(context: Context) -> None:
    with pytest.raises(DataError, match=r"max_memory of .* is not enough"):
        stages(replace(context, engine=default_engine(max_memory=1_000_000)))
    assert [item for item in (context.stages_folder / "synthesise").iterdir() if item.is_dir()] == []
