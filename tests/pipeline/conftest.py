"""One whole run of the tiny problem, shared; a test that changes something takes a copy of its home."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, write_turned
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


@pytest.fixture(scope="session")
def turned_once(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A world that turned fifteen days ago. One earlier window was looked at, when no labels had come. Read only."""
    folder = tmp_path_factory.mktemp("turned")
    shop = Shop(path=write_turned(folder / "problem"), home=folder / "home")
    shop.finish()
    shutil.copytree(shop.home, folder / "before")
    context = context_of(shop)
    live(context, 4)
    look(context)
    live(context, 13)
    return shop


@pytest.fixture
def turned(turned_once: Shop, tmp_path: Path) -> Shop:
    """That home copied, to change."""
    shutil.copytree(turned_once.home, tmp_path / "turned")
    return Shop(path=turned_once.path, home=tmp_path / "turned")


@pytest.fixture
def standing(turned_once: Shop, tmp_path: Path) -> Shop:
    """The same shop on the day of its training, when its world still stands: what comes next is as it was."""
    shutil.copytree(turned_once.home.parent / "before", tmp_path / "standing")
    return Shop(path=turned_once.path, home=tmp_path / "standing")
