"""MLflow's locations after a home was moved or copied."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from headrace.registry.client import connect, experiment_id
from headrace.registry.models import download
from headrace.registry.relocation import relocate
from tests.registry.test_registry_models import make_bundle, register


def _locations(home: Path) -> list[str]:
    """Every text in the database that names a folder of artifacts."""
    found = []
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"').fetchall():
                found += [str(value) for value in row if isinstance(value, str) and "mlflow/artifacts" in value]
    database.close()
    return found


def _uri(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a registered version, and an experiment whose location is a plain path, as the server writes it."""
    home = tmp_path_factory.mktemp("a home with spaces & 100%") / "home"
    client = connect(_uri(home))
    run_id = client.create_run(experiment_id(client, _uri(home), "shop")).info.run_id
    bundle = make_bundle(home.parent / "bundle", "shop")
    register(bundle, problem="shop", metrics={}, tracking_uri=_uri(home), root=home, run_id=run_id)
    by_server = client.create_experiment("by the server", artifact_location=str(home / "mlflow" / "artifacts" / "7"))
    client.create_run(by_server)
    client.create_experiment("elsewhere", artifact_location="s3://bucket/mlflow/artifacts")
    return home


def test_a_copy_reads_and_writes_its_own_artifacts(original: Path, tmp_path: Path) -> None:
    before = sorted(str(path) for path in original.rglob("*"))
    copy = tmp_path / "copy"
    shutil.copytree(original, copy, ignore=lambda folder, names: ["registry"] if folder == str(original) else [])
    original_name = original.rename(original.with_name("hidden"))  # nothing can be read from there
    try:
        assert download("shop", "1", _uri(copy), copy).is_relative_to(copy)
    finally:
        original_name.rename(original)
    client = connect(_uri(copy))
    for name in ("shop", "by the server"):
        experiment = client.get_experiment_by_name(name)
        assert experiment is not None
        for run in client.search_runs([experiment.experiment_id]):
            client.log_text(run.info.run_id, "written by the copy", "note.txt")
    assert sorted(str(path) for path in original.rglob("*")) == before
    assert len(list(copy.rglob("note.txt"))) == 2
    assert not any(str(original) in one or "spaces" in one for one in _locations(copy))
    assert "s3://bucket/mlflow/artifacts" in _locations(copy)


def test_where_a_home_is_in_its_place_nothing_is_written(original: Path, tmp_path: Path) -> None:
    store = original / "mlflow" / "mlflow.db"
    before = store.stat().st_mtime_ns
    assert not relocate(store)
    link = tmp_path / "link"
    link.symlink_to(original)
    assert not relocate(link / "mlflow" / "mlflow.db")
    assert store.stat().st_mtime_ns == before
    assert not relocate(tmp_path / "none" / "mlflow" / "mlflow.db")


def test_a_rewriting_that_is_killed_is_done_by_the_next(original: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(original / "mlflow", copy / "mlflow")
    store = copy / "mlflow" / "mlflow.db"
    with sqlite3.connect(store) as database:
        database.execute("CREATE TRIGGER killed BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'no'); END")
    database.close()
    before = _locations(copy)
    with pytest.raises(sqlite3.IntegrityError):
        relocate(store)
    assert _locations(copy) == before
    with sqlite3.connect(store) as database:
        database.execute("DROP TRIGGER killed")
    database.close()
    assert relocate(store)
    assert not relocate(store)
    assert {one.partition("mlflow/artifacts")[0] for one in _locations(copy)} <= {
        f"file://{copy}/", f"{copy}/", "s3://bucket/"
    }  # fmt: skip
