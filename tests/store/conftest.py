"""Lakes for the store's tests; see world.py."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.world import World, features, make_world

REPO = Path(__file__).parents[2] / "feature_repo"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A fresh lake; nothing published."""
    return make_world(tmp_path)


@pytest.fixture(scope="session")
def published_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A lake with all features published as service `all`. Read only."""
    from headrace.store.publish import publish

    made = make_world(tmp_path_factory.mktemp("store"))
    publish(made.root, made.problem, features(), "all")
    return made


@pytest.fixture
def feast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Feast's command in a copy of feature_repo beside the test's home folder; exits: the code that it ends with."""
    from click.testing import CliRunner
    from feast.cli.cli import cli

    repo = tmp_path / "feature_repo"
    shutil.copytree(REPO, repo, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(repo)
    monkeypatch.delenv("HEADRACE_HOME", raising=False)
    monkeypatch.setattr(sys, "path", [str(repo), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(*arguments: str, exits: int = 0) -> str:
        sys.modules.pop("definitions", None)
        result = CliRunner().invoke(cli, ["--chdir", str(repo), *arguments], catch_exceptions=False)
        assert result.exit_code == exits, result.output
        return result.output

    yield run
    sys.modules.pop("definitions", None)
