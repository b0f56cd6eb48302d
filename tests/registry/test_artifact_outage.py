"""An artifact store that does not answer: one error that says what, where and how to go on, for every use of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.core.errors import UnavailableError
from headrace.core.files import write_json
from headrace.registry.known_study import read_study
from headrace.registry.models import download, register
from headrace.registry.tracking import attach, log_study
from headrace.search.transfer.known import STUDY
from tests.registry.test_registry_models import make_bundle

#: Nothing listens here.
GONE = "http://127.0.0.1:9/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version whose run and model are in an artifact store that does not answer."""

    problem: str
    version: str
    run_id: str
    uri: str
    folder: Path


@pytest.fixture
def registered(tracking_uri: str, problem_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registered:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    write_json(tmp_path / STUDY, [])
    run_id = log_study(
        tracking_uri, problem_name, key="study", study_name="study", trials=(), artifacts=[tmp_path / STUDY]
    )
    version = register(
        make_bundle(tmp_path / "bundle", problem_name),
        problem=problem_name,
        metrics={},
        tracking_uri=tracking_uri,
        root=tmp_path / "home",
        run_id=run_id,
    )
    assert read_study(problem_name, version, tracking_uri) == []
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (GONE, run_id))
        database.execute(
            "UPDATE model_versions SET source = ?, storage_location = ? WHERE name = ?", (GONE, GONE, problem_name)
        )
        database.commit()
    return Registered(problem=problem_name, version=version, run_id=run_id, uri=tracking_uri, folder=tmp_path)


USES: dict[str, Callable[[Registered], object]] = {
    "the study of a champion": lambda one: read_study(one.problem, one.version, one.uri),
    "a bundle": lambda one: download(one.problem, one.version, one.uri, one.folder / "another home"),
    "files of a run": lambda one: attach(one.uri, one.run_id, [one.folder / STUDY]),
}


@pytest.mark.parametrize("use", USES)
def test_an_artifact_store_that_does_not_answer_is_one_error(registered: Registered, use: str) -> None:
    with pytest.raises(UnavailableError, match="the artifact store does not") as found:
        USES[use](registered)
    assert registered.run_id in found.value.where or registered.problem in found.value.where
    assert "run again" in found.value.fix
    assert "\n" not in str(found.value)
    assert found.value.exit_code != 0
