"""One undisturbed run to compare with, and its home as it was on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.damage.matrix import Matrix, prepare_apart
from tests.chaos.killing import Home
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, write_turned
from tests.tiny_problem import write_tiny_problem

REPLAYED_DAYS = 5


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """problem: its file. before: home folders as they were before a stage. outcome: of the whole run."""

    problem: Path
    before: Mapping[str, Path]
    outcome: Mapping[str, Any]
    paths: int


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Run once without a kill, and keep the state before the search and before anything is registered."""
    folder = tmp_path_factory.mktemp("undisturbed")
    home = Home(
        problem=write_tiny_problem(folder / "problem", replayed_days=REPLAYED_DAYS),
        root=folder / "home",
    )
    before = {name: folder / f"before_{name}" for name in ("ingest", "search", "track")}
    before["ingest"].mkdir()
    run = home.open()
    run.run_stage("training-set")
    shutil.copytree(home.root, before["search"])
    run.run_stage("refit")
    shutil.copytree(home.root, before["track"])
    outcome = home.finish()
    return Undisturbed(problem=home.problem, before=before, outcome=outcome, paths=sum(1 for _ in home.root.rglob("*")))


@pytest.fixture
def home_before(undisturbed: Undisturbed, tmp_path: Path) -> Callable[[str], Home]:
    """A home of one's own in the state before a stage."""

    def make(stage: str) -> Home:
        shutil.copytree(undisturbed.before[stage], tmp_path / "home")
        return Home(problem=undisturbed.problem, root=tmp_path / "home")

    return make


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """A prepared home whose files are damaged one after the other."""
    return Matrix(prepare_apart(tmp_path_factory.mktemp("damage")))


@pytest.fixture(scope="session")
def owing(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop that owes a retrain. Read only."""
    folder = tmp_path_factory.mktemp("owing")
    shop = Shop(path=write_turned(folder / "problem"), home=folder / "home")
    shop.finish()
    live(context_of(shop), 17)
    assert look(context_of(shop)).retrain_is_open
    return shop


@pytest.fixture
def replica_path(owing: Shop, tmp_path: Path) -> Callable[[], Shop]:
    def make() -> Shop:
        shutil.copytree(owing.home, tmp_path / "home")
        return Shop(path=owing.path, home=tmp_path / "home")

    return make
