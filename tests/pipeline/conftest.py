"""One whole run of the tiny problem, shared; a test that changes something takes a copy of its home."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipeline.shop import Shop
from tests.tiny_problem import write_tiny_problem


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The problem and its home after one run. Read only."""
    folder = tmp_path_factory.mktemp("shop")
    shop = Shop(path=write_tiny_problem(folder / "problem"), home=folder / "home")
    shop.finish()
    return shop


@pytest.fixture
def copy(ran: Shop, tmp_path: Path) -> Shop:
    """That home copied, to change."""
    shutil.copytree(ran.home, tmp_path / "home")
    return Shop(path=ran.path, home=tmp_path / "home")
