"""The commands on a problem that works: run, status, promote, rollback, and what they refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from headrace.cli import app, main
from headrace.pipeline.catalogue import STAGES
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from tests.cli.command import Outcome, headrace
from tests.tiny_problem import write_tiny_problem

FEW = ("--trials", "2")


@dataclass(frozen=True, kw_only=True)
class Home:
    """A problem, its state, and the first run's outcome."""

    problem: str
    root: Path
    first: Outcome

    def command(self, *arguments: str) -> Outcome:
        return headrace(*arguments, home=self.root)

    def status(self) -> dict[str, Any]:
        """`status --json`."""
        found: dict[str, Any] = json.loads(self.command("status", self.problem, "--json").out)
        return found

    def alias(self, name: str) -> str:
        """The version that an MLflow alias points at."""
        client = connect(f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}")
        return str(client.get_model_version_by_alias("shop", name).version)


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """After `headrace run`. Read only."""
    folder = tmp_path_factory.mktemp("cli")
    problem = str(write_tiny_problem(folder / "problem", orders=400))
    return Home(problem=problem, root=folder / "home", first=headrace("run", problem, *FEW, home=folder / "home"))


@pytest.fixture(scope="session")
def two_versions(ran: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """After a second run with another seed, which registers a second version; version 1 is champion. Read only."""
    root = tmp_path_factory.mktemp("cli") / "two"
    shutil.copytree(ran.root, root)
    home = Home(problem=ran.problem, root=root, first=headrace("run", ran.problem, *FEW, "--seed", "1", home=root))
    assert home.first.code == 0
    if home.status()["champion"]["version"] != "1":  # whether the gate let the second one pass is not the matter here
        assert home.command("rollback", ran.problem).code == 0
    return home


@pytest.fixture
def copy(two_versions: Home, tmp_path: Path) -> Home:
    """That home, to change."""
    shutil.copytree(two_versions.root, tmp_path / "home")
    return Home(problem=two_versions.problem, root=tmp_path / "home", first=two_versions.first)


def test_run_ends_with_a_report_and_exit_code_0(ran: Home) -> None:
    assert ran.first.code == 0
    assert "shop        version 1 is champion" in ran.first.out
    for heading in ("run", "windows", "quality", "features", "policy", "study", "next"):
        assert any(line.startswith(f"{heading} ") for line in ran.first.out.splitlines()), heading
    assert "area under the ROC curve" in ran.first.out
    assert "headrace features" in ran.first.out


def test_a_run_in_json(copy: Home) -> None:
    outcome = copy.command("run", copy.problem, *FEW, "--json")
    report = json.loads(outcome.out)
    assert report["problem"] == "shop"
    cached = {stage["name"]: stage["cached"] for stage in report["stages"]}
    assert len(cached) == len(STAGES)
    assert cached["search"]
    assert report["model"]["metric"] in report["model"]["metrics"]
    assert 0 < len(report["model"]["features"]) <= 10
    assert sum(item["share"] for item in report["model"]["features"]) <= 1 + 1e-9
    assert all(item["words"] for item in report["model"]["features"])


def test_a_release_in_json(copy: Home) -> None:
    assert json.loads(copy.command("promote", copy.problem, "2", "--json").out)["champion"] == "2"
    assert json.loads(copy.command("rollback", copy.problem, "--json").out)["champion"] == "1"


def test_a_check_in_json(ran: Home, tmp_path: Path) -> None:
    report = json.loads(ran.command("check", ran.problem, "--json").out)
    assert report["faults"] == []
    assert report["tables"]["customers"]["rows"] > 0
    assert report["candidates"] > 0
    wrong = write_tiny_problem(tmp_path / "wrong", orders=50)
    wrong.write_text(wrong.read_text().replace('source="customers.parquet"', 'source="gone.parquet"'))
    outcome = headrace("check", str(wrong), "--json", home=tmp_path)
    assert outcome.code == 1
    assert "gone.parquet" in json.loads(outcome.out)["faults"][0]


def commands(app: typer.Typer, *before: str) -> Iterator[tuple[str, ...]]:
    for one in app.registered_commands:
        yield (*before, one.name or getattr(one.callback, "__name__", ""))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, *before, str(group.name or group.typer_instance.info.name))


@pytest.mark.parametrize("command", [one for one in commands(app) if one != ("serve",)], ids=" ".join)
def test_every_command_offers_json(command: tuple[str, ...]) -> None:
    group: Any = typer.main.get_command(app)
    for name in command[:-1]:
        group = group.commands[name]
    assert "--json" in {option for parameter in group.commands[command[-1]].params for option in parameter.opts}


def test_status_for_machines(ran: Home) -> None:
    status = ran.status()
    assert status["champion"]["version"] == "1"
    assert status["champion"]["metrics"]["gate_auc"] > 0.5
    assert all(isinstance(value, float) for value in status["champion"]["metrics"].values())
    assert status["last_run"]["seconds"] > 0
    assert all(set(stage) == {"name", "seconds", "cached"} for stage in status["last_run"]["stages"])
    assert len(status["last_run"]["stages"]) == len(STAGES)
    assert status["clock"].startswith("2024-03-0")


def test_status_for_people(ran: Home) -> None:
    shown = ran.command("status", ran.problem)
    assert shown.code == 0
    assert "version 1" in shown.out
    assert "gate_auc" in shown.out


def test_status_before_the_first_run(ran: Home, tmp_path: Path) -> None:
    status = json.loads(headrace("status", ran.problem, "--json", home=tmp_path / "new").out)
    assert (status["champion"], status["last_run"], status["clock"]) == (None, None, None)
    assert not (tmp_path / "new").exists()
    assert "none yet" in headrace("status", ran.problem, home=tmp_path / "new").out


def test_promote_and_rollback(copy: Home) -> None:
    promoted = copy.command("promote", copy.problem, "2", "--reason", "to see")
    assert promoted.code == 0
    assert "version 2 is champion" in promoted.out
    champion = copy.status()["champion"]
    assert (champion["version"], champion["reason"]) == ("2", "to see")
    assert champion["metrics"]["gate_auc"] > 0
    assert (copy.alias("champion"), copy.alias("previous")) == ("2", "1")
    back = copy.command("rollback", copy.problem)
    assert back.code == 0
    assert copy.status()["champion"]["version"] == "1"
    assert copy.alias("champion") == "1"
    assert set(Ledger(copy.root, "shop").barred()) == {"2"}


def test_a_rolled_back_version_stays_away_when_its_run_is_repeated(copy: Home) -> None:
    copy.command("promote", copy.problem, "2")
    copy.command("rollback", copy.problem)
    again = copy.command("run", copy.problem, *FEW, "--seed", "1")
    assert again.code == 0
    assert copy.status()["champion"]["version"] == "1"


def test_an_unknown_version_is_refused(copy: Home) -> None:
    outcome = copy.command("promote", copy.problem, "99")
    assert outcome.code == 1
    assert outcome.errors == ["headrace: shop: no registered version 99. look at the MLflow registry."]
    assert copy.status()["champion"]["version"] == "1"


def test_a_rollback_without_a_version_before_is_refused(ran: Home) -> None:
    outcome = ran.command("rollback", ran.problem)
    assert outcome.code == 1
    (error,) = outcome.errors
    assert "no version to roll back to" in error


def test_a_problem_without_feed_cannot_advance(ran: Home) -> None:
    outcome = ran.command("advance", ran.problem)
    assert outcome.code == 1
    (error,) = outcome.errors
    assert "no feed to advance" in error


def test_a_quarantined_batch_gives_exit_code_3_and_a_model_from_the_rest(tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "problem", orders=300)
    strict = 'source="customers.parquet", bounds={"discount": (0.25, 1.0)}'
    problem.write_text(problem.read_text().replace('source="customers.parquet"', strict))
    outcome = headrace("run", str(problem), *FEW, home=tmp_path / "home")
    assert outcome.code == 3
    assert "version 1 is champion" in outcome.out
    assert "quarantined customers" in outcome.out
    again = headrace("run", str(problem), *FEW, home=tmp_path / "home")
    assert again.code == 3  # found done, and said again


def test_the_command_as_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headrace.cli", "check", str(tmp_path / "none.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("headrace: ")


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["headrace", "--help"])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    for name in ("run", "check", "status", "promote", "rollback", "advance", "up", "down"):
        assert name in shown
