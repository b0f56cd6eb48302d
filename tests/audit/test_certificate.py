"""The checks of a certificate see what they are for: a peeking engine, a wrong stored row, another prediction."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.audit import checks
from headrace.audit.certificate import Certificate, LateEffect, Ticks
from headrace.audit.checks import Check, leak_probe, online_check, oracle_check, past_rows, reproduction_check
from headrace.audit.page import page
from headrace.core.clock import DAY
from headrace.store.materialise import online_rows
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Definition, RowColumn, Stored
from headrace.testing.shop_definitions import PAST_LABELS, one, scheduled
from headrace.testing.shop_world import World, at, us
from tests.audit.harbour import Harbour, make_harbour
from tests.store.world import START, features

#: Without the column that is not known at the cutoff.
FEATURES: tuple[Definition, ...] = tuple(item for item in features() if not isinstance(item, RowColumn))


class Peeking(LocalEngine):
    """An engine that sees five days too far."""

    def compute(self, problem: Any, definitions: Any, keys: Any, snapshot: Any) -> Any:
        later = pa.array(keys["tick"].to_numpy() + 5 * DAY)
        keys = keys.set_column(keys.column_names.index("tick"), "tick", later)
        return super().compute(problem, definitions, keys, snapshot)


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Harbour:
    return make_harbour(tmp_path_factory.mktemp("certified"))


def test_the_leak_probe_passes_the_engine_and_sees_one_that_peeks(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, snapshot = harbour.world.problem, harbour.world.snapshot
    spine = past_rows(problem, snapshot, START + 15 * DAY)
    honest = leak_probe(problem, FEATURES, snapshot, spine)
    assert (honest.outcome, honest.values, honest.different) == ("passed", spine.num_rows * len(FEATURES), 0)
    monkeypatch.setattr(checks, "engine_of", lambda problem: Peeking())
    peeking = leak_probe(problem, FEATURES, snapshot, spine)
    assert peeking.outcome == "failed"
    assert "stays.fee" in peeking.text
    assert oracle_check(problem, FEATURES, snapshot, spine).outcome == "failed"


def test_the_oracle_agrees(harbour: Harbour) -> None:
    problem, snapshot = harbour.world.problem, harbour.world.snapshot
    spine = past_rows(problem, snapshot, START + 15 * DAY)
    found = oracle_check(problem, FEATURES, snapshot, spine)
    assert (found.outcome, found.values) == ("passed", 5 * len(FEATURES))


def visited(hours: int) -> World:
    """Three customers, one of whom visits the shop every hour."""
    visits = [{"visit_id": hour, "visitor": "abc"[hour % 3], "at": at(hour), "page": "p"} for hour in range(hours)]
    return World({"customers": [{"customer": name, "since": at(0)} for name in "abc"], "visits": visits})


#: Of the page of a customer's last visit, how often it was visited.
OF_THE_PAGE: list[Stored] = [
    replace(
        one("customer", "visits", ("visitor",), "", "last", None),
        value=one("page", "visits", ("page",), "", "count", None),
        kind="numeric",
    )
]


def calls_of_the_oracle(hours: int, definitions: list[Stored]) -> int:
    """Certify the last rows of a schedule, and count the calls of functions of the oracle."""
    world, calls = visited(hours), 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call" and "oracle" in frame.f_code.co_filename

    spine = past_rows(scheduled, world, us(hours))  # type: ignore[arg-type]
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = oracle_check(scheduled, definitions, world, spine)  # type: ignore[arg-type]
    finally:
        sys.setprofile(before)
    assert (found.outcome, found.values) == ("passed", 5 * len(definitions))
    return calls


@pytest.mark.parametrize("definitions", [PAST_LABELS, OF_THE_PAGE], ids=["past labels", "stacked"])
def test_the_oracles_work_grows_with_the_history_and_no_faster(definitions: list[Stored]) -> None:
    """A schedule's earlier labels are rows too: many cutoffs, each with a label at every instant that may change it."""
    short, long = (calls_of_the_oracle(hours, definitions) for hours in (30, 120))
    assert long < 5 * short


def test_checks_without_rows_are_not_run(harbour: Harbour) -> None:
    problem, snapshot = harbour.world.problem, harbour.world.snapshot
    spine = past_rows(problem, snapshot, START - 90 * DAY)
    assert leak_probe(problem, FEATURES, snapshot, spine).outcome == "not run"
    assert oracle_check(problem, FEATURES, snapshot, spine).outcome == "not run"


def test_a_wrong_stored_row_fails_the_online_check(tmp_path: Path) -> None:
    harbour = make_harbour(tmp_path)
    world = harbour.world
    bundle = harbour.versions.bundle("1")
    before = online_check(world.root, world.problem, bundle, world.snapshot, START + 5 * DAY)
    assert before.outcome == "not run"
    harbour.refresh(120)
    assert online_check(world.root, world.problem, bundle, world.snapshot, START + 5 * DAY).outcome == "passed"
    view = f"{world.problem.name}__boat"
    slug = next(item.slug for item in FEATURES if item.slug.startswith("boat_mean"))
    online_rows(world.root).upsert(view, ["boat"], [slug], [("anna", 1e6)])
    after = online_check(world.root, world.problem, bundle, world.snapshot, START + 5 * DAY)
    assert (after.outcome, after.different) == ("failed", 1)
    assert slug in after.text


def test_predictions_are_repeated() -> None:
    class Stub:
        definitions = ()

        def read_reference(self) -> pa.Table:
            return pa.table({"_prediction": [0.5, 0.25]})

        def predict(self, matrix: pa.Table) -> np.ndarray:
            return np.array([0.5, 0.75])

    found = reproduction_check(Stub())  # type: ignore[arg-type]
    assert (found.outcome, found.values, found.different) == ("failed", 2, 1)


def certificate(*found: Check) -> Certificate:
    return Certificate(
        problem="shop", version="3", made="2024-03-01T00:00:00Z", passed=False, checks=found,
        late=LateEffect(rows=10, changed=2, added=0, most=({"feature": "a<b", "share": 0.2, "spreads": None},)),
        ticks=Ticks(distinct=1, rows=10, first="f", last="l"), hashes={"bundle": "abc"}, headrace="0.1.0",
    )  # fmt: skip


def test_a_certificate_needs_the_probe_and_the_oracle() -> None:
    passed = Check(name="leak probe", outcome="passed", values=5, different=0, text="t")
    oracle = replace(passed, name="oracle")
    assert certificate(passed, oracle, replace(passed, name="skew audit", outcome="not run")).reason == ""
    assert certificate(passed, replace(oracle, outcome="not run")).reason == "oracle: not run. t"
    failed = replace(oracle, outcome="failed", different=2)
    assert certificate(passed, failed).reason == "oracle: 2 of 5 values differ"


def test_the_page_shows_the_checks_and_escapes_names() -> None:
    failed = Check(name="oracle", outcome="failed", values=5, different=2, text="<b>")
    text = page(certificate(failed))
    assert "oracle: 2 of 5 values differ" in text
    assert "a&lt;b" in text
    assert "&lt;b&gt;" in text
    assert "<script" not in text
    assert "http" not in text
