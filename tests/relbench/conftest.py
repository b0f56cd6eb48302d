"""One folder of RelBench's form, shared. Read only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.relbench.formula_one import write_formula_one


@pytest.fixture(scope="session")
def formula_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the data set."""
    return write_formula_one(
        tmp_path_factory.mktemp("relbench") / "rel-formula", first_year=2001, races=6, drivers=16, evaluations=5
    )
