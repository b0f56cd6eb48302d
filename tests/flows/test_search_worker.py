"""The flow of a search worker takes the shared folder from the settings, and ends when there is nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError
from headrace.core.settings import settings
from headrace.flows.search_worker import search_worker
from tests.tiny_problem import write_tiny_problem


def test_without_a_shared_folder_it_says_what_to_set(own_home: Path, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="set HEADRACE_SEARCH_FOLDER"):
        search_worker.fn(problem=str(write_tiny_problem(tmp_path / "problem", orders=30)))


def test_it_waits_in_the_folder_of_its_problem(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_SEARCH_FOLDER", str(tmp_path / "shared"))
    settings.cache_clear()
    reference = str(write_tiny_problem(tmp_path / "problem", orders=30))
    assert search_worker.fn(problem=reference, idle_seconds=0.3) == 0
    assert (tmp_path / "shared" / "shop" / "workers").is_dir()
