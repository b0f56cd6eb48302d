"""The edges of the API: the clock it is given, the row it shows, the port it needs."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from headrace.api.__main__ import main
from headrace.api.examples import example_row
from headrace.api.server import production_clock
from headrace.core.clock import to_us
from headrace.core.settings import settings
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem, Replay
from tests.serving_fixtures import PROBLEM
from tests.tiny_problem import write_tiny_problem


def _with_feed() -> Problem:
    return Problem(
        name="shop",
        entity_set=PROBLEM.entity_set,
        spine=PROBLEM.spine,
        label=PROBLEM.label,
        feed=Replay(start="2024-02-01"),
    )


def test_a_replayed_problem_has_the_feeds_clock(tmp_path: Path) -> None:
    now = production_clock(tmp_path, _with_feed())
    assert now() == to_us("2024-02-01")
    Lake(tmp_path, "shop").advance_clock(to_us("2024-02-05"))
    assert now() == to_us("2024-02-05")


def test_a_live_problem_has_the_wall_clock(tmp_path: Path) -> None:
    before = time.time_ns() // 1000
    assert before <= production_clock(tmp_path, PROBLEM)() <= time.time_ns() // 1000


def test_the_example_is_the_row_next_to_the_clock_with_what_is_known_at_its_cutoff(tmp_path: Path) -> None:
    problem = load_problem(str(write_tiny_problem(tmp_path / "files")))
    orders = problem.spine_table
    assert example_row(tmp_path, problem, to_us("2024-01-15")) is None
    rows = orders.source.read()  # type: ignore[union-attr]
    Lake(tmp_path, problem.name).append(orders, rows, arrival_us=0, bootstrap=True)
    row = example_row(tmp_path, problem, to_us("2024-01-15"))
    assert row is not None
    assert set(row) == {"order_id", "customer_id", "placed", "amount", "channel"}
    cutoff_us = to_us(row["placed"]) + problem.cutoff.offset_us
    assert cutoff_us == to_us("2024-01-15")  # moved, so that it is due now


def test_a_taken_port_is_a_clear_error_that_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    settings.cache_clear()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert main(["--problem", "flights", "--host", "127.0.0.1", "--port", str(port)]) == 1
    settings.cache_clear()
    said = capsys.readouterr().err
    assert f"port {port} cannot be used" in said
    assert "HEADRACE_API_PORT" in said


def test_an_unknown_problem_is_a_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--problem", "no_such_problem", "--port", "0"]) == 1
    assert "no_such_problem" in capsys.readouterr().err
