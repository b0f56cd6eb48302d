"""The flow of a search worker takes the shared folder from the settings, and ends when there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError
from headrace.core.settings import settings
from headrace.flows.search_worker import search_worker
from tests.tiny_problem import write_tiny_problem


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    settings.cache_clear()


def test_without_a_shared_folder_it_says_what_to_set(home: Path) -> None:
    with pytest.raises(DeclarationError, match="set HEADRACE_SEARCH_FOLDER"):
        search_worker.fn(problem=str(write_tiny_problem(home / "problem", orders=30)))


def test_it_waits_in_the_folder_of_its_problem(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SEARCH_FOLDER", str(home / "shared"))
    settings.cache_clear()
    reference = str(write_tiny_problem(home / "problem", orders=30))
    assert search_worker.fn(problem=reference, idle_seconds=0.3) == 0
    assert (home / "shared" / "shop" / "workers").is_dir()
