"""Databases for the suites that run over SQLite and over PostgreSQL; MLflow's is migrated once a session."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from tests.mlflow_template import migrated_once
from tests.problems.postgres import postgres

_numbers = itertools.count()
# CI draws the same examples every time, and half of Hypothesis's usual number, because its time is limited.
settings.register_profile("ci", settings.get_profile("ci"), max_examples=50)


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processes of `--numprocesses auto`: one more than cores, as tests of servers wait a lot."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, 5)


@pytest.fixture(scope="session", autouse=True)
def _mlflow_migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with migrated_once(tmp_path_factory.mktemp("mlflow")):
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """host:port of a PostgreSQL server of this test session; skips where none is installed."""
    with postgres() as address:
        yield address


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """Address of an empty database."""
    yield from _database(postgresql_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each database in turn: empty for SQLite files of the home, or the address of an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield ""
    else:
        yield from _database(request.getfixturevalue("postgresql_server"))


@pytest.fixture(scope="session")
def new_database(postgresql_server: str) -> Callable[[], str]:
    """Makes an empty database of PostgreSQL and returns its address, for examples of one property test."""
    return lambda: _create(postgresql_server)


def _database(server: str) -> Iterator[str]:
    from headrace.database.postgresql import engine

    address = _create(server)
    yield address
    engine(address).dispose()


def _create(server: str) -> str:
    import psycopg

    name = f"test_{next(_numbers)}"
    with psycopg.connect(f"postgresql://headrace@{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql://headrace@{server}/{name}"
