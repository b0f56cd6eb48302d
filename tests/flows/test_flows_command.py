"""`python -m headrace.flows` as people and `make` call it: exit codes, one line for an error, the table at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from headrace.core.prefect_server import csrf_headers
from headrace.core.settings import Settings
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def flows(*arguments: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW", "HEADRACE"))}
    return subprocess.run(
        [sys.executable, "-m", "headrace.flows", *arguments],
        cwd=ROOT,
        env={**kept, "HEADRACE_HOME": str(home), **env},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def servers(local: Settings) -> dict[str, str]:
    return {
        "PREFECT_API_URL": f"http://127.0.0.1:{local.prefect_port}/api",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{local.mlflow_port}",
    }


@pytest.mark.parametrize("command", ["run", "deploy"])
def test_an_unknown_problem_is_one_line_before_anything_starts(command: str, tmp_path: Path) -> None:
    done = flows(command, "nowhere", home=tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr
        == "headrace: no problem 'nowhere'. found: flights, nafld. name one of these, or the path of a .py file.\n"
    )
    assert not (tmp_path / "prefect").exists()


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = flows("run", home=tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 1
    assert done.stderr.startswith("headrace: http://127.0.0.1:9/api: the Prefect server does not answer")


def test_deploying_needs_a_server(tmp_path: Path) -> None:
    done = flows("deploy", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("headrace: no Prefect server is up. start one with `headrace up`")


@pytest.mark.server
@pytest.mark.timeout(280)
def test_a_problem_of_ones_own_runs_and_shows_in_the_server(local: Settings, tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "shop")
    done = flows("run", str(problem), home=tmp_path / "home", **servers(local))
    assert done.returncode == 0, done.stderr
    assert "version 1 is champion" in done.stdout
    body = {"flow_runs": {"name": {"any_": ["pipeline shop"]}}}
    api = servers(local)["PREFECT_API_URL"]
    with httpx.Client(trust_env=False) as client:
        found = client.post(f"{api}/flow_runs/filter", json=body, headers=csrf_headers(client, api)).json()
    assert [run["state_name"] for run in found] == ["Completed"]


@pytest.mark.server
@pytest.mark.timeout(180)
def test_bad_data_is_one_line_without_a_traceback_and_needs_no_server(tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "shop")
    orders = problem.parent / "orders.csv"
    orders.write_text(orders.read_text().replace("Z,", ","))
    done = flows("run", str(problem), home=tmp_path / "a" / "new" / "home")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("headrace: ")] == done.stderr.splitlines()[-1:]
    assert "placed" in done.stderr
