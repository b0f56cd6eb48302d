"""Passwords that a user gives in addresses are in no file of the home and in no message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.app.addresses import addresses
from headrace.app.context import context_of
from headrace.core.errors import DataError
from headrace.core.settings import Settings
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.walker import PipelineRun
from headrace.problems.catalogue import load_problem
from tests.tiny_problem import write_tiny_problem

SECRET = "hunter22"
ADDRESS = f"postgresql://me:{SECRET}@host/db"
#: A user's own source, with the address in a field, and no digest of its own.
SOURCE = f"""
from dataclasses import dataclass
import pyarrow.parquet

@dataclass(frozen=True)
class Query:
    address: str

    def read(self):
        return pyarrow.parquet.read_table(__file__.replace("problem.py", "customers.parquet"))

customers = Table(name="customers", key="customer_id", source=Query({ADDRESS!r}))
"""


def _declared(folder: Path, customers: str) -> Path:
    path = write_tiny_problem(folder)
    text = path.read_text()
    line = 'customers = Table(name="customers", key="customer_id", source="customers.parquet")\n'
    assert line in text
    path.write_text(text.replace(line, customers))
    return path


def test_an_address_that_a_source_holds_is_in_no_file(tmp_path: Path) -> None:
    path = _declared(tmp_path / "problem", SOURCE)
    run = PipelineRun(context_of(str(path), tmp_path / "home"))
    run.run_stage("ingest")
    files = [one for one in (tmp_path / "home").rglob("*") if one.is_file()]
    assert files
    assert [one for one in files if SECRET.encode() in one.read_bytes()] == []
    assert run.output(INGEST).until_us


def test_an_address_in_place_of_a_file_is_refused_without_its_password(tmp_path: Path) -> None:
    path = _declared(tmp_path, f'customers = Table(name="customers", key="customer_id", source={ADDRESS!r})\n')
    with pytest.raises(DataError, match=r"source postgresql://\*\*\*@host/db: an address without a table") as caught:
        load_problem(str(path))
    assert SECRET not in str(caught.value)


def test_addresses_of_servers_are_shown_without_their_passwords(tmp_path: Path) -> None:
    """They go into last_run.json, Prefect's artifacts and the tables on the screen."""
    chosen = Settings(
        home=tmp_path,
        MLFLOW_TRACKING_URI=f"https://me:{SECRET}@mlflow.example.org",  # type: ignore[call-arg]
        PREFECT_API_URL=f"https://me:{SECRET}@prefect.example.org/api",  # type: ignore[call-arg]
    )
    assert addresses(chosen) == {
        "MLflow": "https://***@mlflow.example.org",
        "Prefect": "https://***@prefect.example.org",
    }


def test_mlflow_is_given_a_password_beside_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its client says of an address that does not answer has none in it."""
    from headrace.registry.client import connect, without_credentials

    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(name, "0")
    address = f"http://me%40work:{SECRET}@127.0.0.1:1"
    assert without_credentials(address) == "http://127.0.0.1:1"
    client = connect(address)
    with pytest.raises(Exception, match=r"127\.0\.0\.1") as caught:
        client.get_run("0" * 32)
    assert SECRET not in str(caught.value)

    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("me@work", SECRET)
