"""Synthesis after the lake grew: what is taken over and what is computed give what one run gives that sees it all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headrace.app.context import context_of as open_context
from headrace.core.clock import to_us
from headrace.core.files import read_json, write_json
from headrace.core.manifest import write_manifest
from headrace.lake.conform import conform
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.stage import FinishedStage, run
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.pipeline.stages.ingest import IngestOutput
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.schema.table import Source
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

SPLIT, END = to_us("2024-02-20"), to_us("2024-03-05")


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_problem(tmp_path_factory.mktemp("grown"), orders=600)


def context_of(declared: Path, home: Path) -> Context:
    return open_context(str(declared), home)


def load(context: Context, *, until_us: int, since_us: int | None = None) -> None:
    """Orders placed in [since, until) as they came; the first load is history, with the customers."""
    lake = Lake(context.root, context.problem.name)
    for table in context.problem.entity_set.tables:
        assert isinstance(table.source, Source)
        rows = conform(table, table.source.read(), allow_empty=False)
        if table.name == "orders":
            settled = rows["settled"].cast(pa.int64()).to_numpy()
            rows = rows.filter(pa.array((settled < until_us) & (settled >= (since_us or 0))))
        elif since_us is not None:
            continue
        lake.append(table, rows, arrival_us=until_us, bootstrap=since_us is None)


def synthesise(context: Context, until_us: int) -> Path:
    """The stage's folder; `until` stands for the batch that ingest would have told of."""
    ingested = FinishedStage(
        name="ingest",
        output=IngestOutput(snapshot="", until_us=until_us, tables={}, batches=(), quarantined=()),
        folder=context.root,
        digest=str(until_us),
    )
    return run(SYNTHESISE, context, {"ingest": ingested})[0].folder


def candidates(folder: Path) -> pa.Table:
    return Candidates(folder).table()


def test_after_a_batch_only_its_rows_are_computed_and_every_bit_is_the_same(declared: Path, tmp_path: Path) -> None:
    grown, whole = context_of(declared, tmp_path / "grown"), context_of(declared, tmp_path / "whole")
    load(grown, until_us=SPLIT)
    first = synthesise(grown, SPLIT)
    for context in (grown, whole):
        if context is whole:
            load(whole, until_us=SPLIT)
        load(context, since_us=SPLIT, until_us=END)
    second, once = synthesise(grown, END), synthesise(whole, END)
    before, after, alone = (read_json(folder / "lake.json") for folder in (first, second, once))
    assert before["computed"] == before["rows"]
    assert after["computed"] == after["rows"] - before["rows"]
    assert alone["computed"] == alone["rows"] == after["rows"]
    assert candidates(second).equals(candidates(once))
    assert read_json(second / "stage.json") == read_json(once / "stage.json")


def test_a_correction_of_old_orders_touches_the_later_ones_of_their_customers(declared: Path, tmp_path: Path) -> None:
    grown, whole = context_of(declared, tmp_path / "grown"), context_of(declared, tmp_path / "whole")
    for context in (grown, whole):
        load(context, until_us=END)
        if context is grown:
            synthesise(grown, END)
        table = context.problem.entity_set.table("orders")
        rows = Lake(context.root, "shop").snapshot().table("orders").drop_columns(["_arrival", "_order"]).slice(0, 3)
        dearer = rows.set_column(rows.column_names.index("amount"), "amount", pc.add(rows["amount"], 100.0))
        Lake(context.root, "shop").append(table, dearer, arrival_us=SPLIT)
    second, once = synthesise(grown, END + 1), synthesise(whole, END + 1)
    told = read_json(second / "lake.json")
    assert 0 < told["computed"] < told["rows"] / 2
    assert candidates(second).equals(candidates(once))


@pytest.mark.parametrize("fault", ["code", "problem", "schemas", "batches"])
def test_the_past_of_other_code_another_declaration_or_another_lake_is_none(
    declared: Path, tmp_path: Path, fault: str
) -> None:
    context = context_of(declared, tmp_path)
    load(context, until_us=SPLIT)
    first = synthesise(context, SPLIT)
    seen = read_json(first / "lake.json")
    write_json(first / "lake.json", {**seen, fault: {"orders": ["000000-of-another-lake"]}})
    write_manifest(first)
    load(context, since_us=SPLIT, until_us=END)
    told = read_json(synthesise(context, END) / "lake.json")
    assert told["computed"] == told["rows"]
