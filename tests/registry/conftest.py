"""One embedded MLflow store for all registry tests: making its tables takes seconds."""

from __future__ import annotations

import itertools

import pytest


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


_numbers = itertools.count()


@pytest.fixture
def problem_name() -> str:
    """A problem of this test's own, in the shared store."""
    return f"problem_{next(_numbers)}"
