"""`headrace run --prefect` and `headrace deploy` become `python -m headrace.flows` with the same options."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.cli.command import headrace


@pytest.fixture
def arguments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of `headrace.flows`, once a command has replaced this process by it."""
    received: list[str] = []

    def replace_process(program: str, command: list[str]) -> None:
        assert [program, "-P", "-m", "headrace.flows"] == [sys.executable, *command[1:4]]
        received.extend(command[4:])
        raise SystemExit(7)

    monkeypatch.setattr(os, "execv", replace_process)
    for name in ("HEADRACE_HOME", "HEADRACE_MAX_MEMORY"):
        monkeypatch.setenv(name, "unset")
    return received


def test_a_run_passes_its_options_on(arguments: list[str], tmp_path: Path) -> None:
    options = ("--trials", "3", "--seed", "0", "--max-memory", "2GB")
    assert headrace("run", "nafld", "--prefect", *options, home=tmp_path).code == 7
    assert arguments == ["run", "nafld", "--trials=3", "--seed=0"]
    assert (os.environ["HEADRACE_HOME"], os.environ["HEADRACE_MAX_MEMORY"]) == (str(tmp_path), "2GB")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), ["deploy", "flights"]),
        (("nafld", "shop.py", "--without-schedules"), ["deploy", "nafld", "shop.py", "--without-schedules"]),
    ],
)
def test_a_deployment_passes_its_problems_on(
    given: tuple[str, ...], expected: list[str], arguments: list[str], tmp_path: Path
) -> None:
    assert headrace("deploy", *given, home=tmp_path).code == 7
    assert arguments == expected
    assert os.environ["HEADRACE_MAX_MEMORY"] == "unset"
