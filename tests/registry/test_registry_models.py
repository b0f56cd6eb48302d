"""Registering bundles in MLflow: once each, safe files only, checked before loading, mended after deletion."""

from __future__ import annotations

import importlib.machinery
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headrace.core.errors import CorruptError, NotFoundError
from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import PREDICTION, Bundle, reference_profile
from headrace.models.design import Encoder
from headrace.models.families import get_family
from headrace.registry.aliases import mirror
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.registry.models import bundle_key, download, register, version_exists
from headrace.registry.packaged_code import model_code
from headrace.registry.tracking import log_study
from headrace.synthesis.language.definitions import RowColumn

DEFINITIONS = (RowColumn(column="amount", kind="numeric"), RowColumn(column="channel", kind="categorical"))


def make_bundle(folder: Path, problem: str, *, seed: int = 0) -> Path:
    """A real LightGBM bundle over two columns."""
    rng = np.random.default_rng(seed)
    matrix = pa.table(
        {
            "amount": pa.array([None if n % 7 == 0 else float(v) for n, v in enumerate(rng.normal(size=200))]),
            "channel": pa.array(
                [None if n % 11 == 0 else str(v) for n, v in enumerate(rng.choice(["web", "shop"], 200))]
            ),
        }
    )
    label = (rng.uniform(size=200) < 0.4).astype(np.float64)
    encoder = Encoder.fit(matrix)
    family = get_family("lightgbm")
    fitted = family.fit(
        encoder.encode(matrix), label, family.default(), metric=METRICS["auc"], rounds=5, seed=seed, threads=1
    )
    bundle = Bundle(
        problem=problem,
        service=f"{problem}_1",
        definitions=DEFINITIONS,
        encoder=encoder,
        family="lightgbm",
        fitted=fitted,
        config=family.default(),
        metric="auc",
        reference=reference_profile(matrix, label, fitted.predict(encoder.encode(matrix))),
    )
    bundle.save(folder)
    return folder


@pytest.fixture
def bundle(tmp_path: Path, problem_name: str) -> Path:
    return make_bundle(tmp_path / "bundle", problem_name)


@pytest.fixture
def run_id(tracking_uri: str, problem_name: str) -> str:
    return log_study(tracking_uri, problem_name, key="study", study_name="study", trials=())


def _register(bundle: Path, problem: str, uri: str, root: Path, run_id: str) -> str:
    return register(
        bundle,
        problem=problem,
        metrics={"auc": 0.7},
        tracking_uri=uri,
        root=root,
        run_id=run_id,
        tags={"train_set_sha": "abc"},
    )


def test_registering_twice_is_one_version(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path
) -> None:
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    assert _register(bundle, problem_name, tracking_uri, tmp_path, run_id) == version
    client = connect(tracking_uri)
    (found,) = client.search_model_versions(f"name = '{problem_name}'")
    assert str(found.version) == version
    assert found.run_id == run_id
    assert found.tags == {
        "headrace.key": bundle_key(bundle),
        "metric.auc": "0.7",
        "validation_status": "pending",
        "train_set_sha": "abc",
    }
    assert version_exists(problem_name, version, tracking_uri)


def test_another_bundle_is_another_version(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path
) -> None:
    first = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    other = make_bundle(tmp_path / "other", problem_name, seed=1)
    second = _register(other, problem_name, tracking_uri, tmp_path, run_id)
    assert int(second) == int(first) + 1
    assert bundle_key(download(problem_name, first, tracking_uri, tmp_path)) == bundle_key(bundle)
    assert bundle_key(download(problem_name, second, tracking_uri, tmp_path)) == bundle_key(other)


def test_a_deleted_version_is_registered_anew(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path
) -> None:
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    client = connect(tracking_uri)
    client.delete_model_version(problem_name, version)
    assert not version_exists(problem_name, version, tracking_uri)
    anew = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    assert version_exists(problem_name, anew, tracking_uri)
    client.delete_registered_model(problem_name)
    assert _register(bundle, problem_name, tracking_uri, tmp_path, run_id) == "1"


def test_a_registration_that_was_killed_halfway_is_finished(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path
) -> None:
    client = connect(tracking_uri)
    experiment = client.get_run(run_id).info.experiment_id
    key = bundle_key(bundle)
    half = client.create_logged_model(experiment, name=problem_name, source_run_id=run_id, tags={"headrace.key": key})
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    models = client.search_logged_models([experiment])
    assert [str(model.status) for model in models] == ["READY"]
    assert models[0].model_id != half.model_id
    # ... and one that was killed after the model but before the version makes no second model.
    client.delete_model_version(problem_name, version)
    _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    assert [model.model_id for model in client.search_logged_models([experiment])] == [models[0].model_id]


def test_a_corrupt_bundle_is_not_registered(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path
) -> None:
    (bundle / "bundle.json").write_text("{}")
    with pytest.raises(CorruptError, match="sha256 differs"):
        _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    assert connect(tracking_uri).search_model_versions(f"name = '{problem_name}'") == []


def _pyfunc(uri: str, problem: str, name: str, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    import mlflow

    # What a user's own notebook does: the ambient store, the model by alias. MLflow puts the address into os.environ
    # too, so setting it back by MLflow's own call would leave one there, for every later test and its processes.
    import mlflow.tracking._tracking_service.utils as ambient

    monkeypatch.setattr(ambient, "_tracking_uri", ambient._tracking_uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    return mlflow.pyfunc.load_model(f"models:/{problem}@{name}")


def test_pyfunc_loads_the_champion_and_predicts_as_the_bundle_does(
    tracking_uri: str,
    problem_name: str,
    bundle: Path,
    run_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    connect(tracking_uri).set_registered_model_alias(problem_name, "champion", version)
    model = _pyfunc(tracking_uri, problem_name, "champion", monkeypatch)
    profile = Bundle.load(bundle).read_reference()
    frame = profile.select(["amount", "channel"]).to_pandas()
    assert model.predict(frame) == pytest.approx(profile[PREDICTION].to_numpy())
    # The model's own copy did it, and a Headrace that is installed is still the one that is imported.
    assert type(model._model_impl).__module__ == f"{model_code().name}.registry.pyfunc"
    fresh = importlib.machinery.PathFinder.find_spec("headrace", [entry for entry in sys.path if "code" in entry])
    assert fresh is None
    columns = [(item.name, item.type.name) for item in model.metadata.signature.inputs.inputs]
    assert columns == [("amount", "double"), ("channel", "string")]
    assert model.input_example.shape == (5, 2)
    with pytest.raises(Exception, match="missing inputs"):
        model.predict(pd.DataFrame({"amount": [1.0]}))


def test_no_file_of_a_registered_model_can_run_code(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path
) -> None:
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    client = connect(tracking_uri)
    folder = Path(client.get_model_version_download_uri(problem_name, version).removeprefix("file://"))
    code = model_code()
    carried = [path for path in code.write(tmp_path / "code").rglob("*") if path.is_file()]
    data = [path for path in folder.rglob("*") if path.is_file() and "code" not in path.relative_to(folder).parts]
    assert {path.suffix for path in data} <= {"", ".json", ".yaml", ".txt", ".parquet"}
    # ... but for our own modules, as readable source and as they stand here.
    stored = {path.relative_to(folder).as_posix(): path for path in (folder / "code").rglob("*") if path.is_file()}
    assert stored.keys() == {path.relative_to(tmp_path).as_posix() for path in carried}
    assert all((tmp_path / name).read_bytes() == path.read_bytes() for name, path in stored.items())


def test_pyfunc_refuses_a_bundle_that_was_changed(
    tracking_uri: str,
    problem_name: str,
    bundle: Path,
    run_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    client = connect(tracking_uri)
    client.set_registered_model_alias(problem_name, "champion", version)
    folder = Path(client.get_model_version_download_uri(problem_name, version).removeprefix("file://"))
    (changed,) = [path for path in folder.rglob("data/bundle/model/*") if path.is_file()]
    changed.write_bytes(changed.read_bytes() + b" ")
    # The model's own copy of CorruptError, so not the class that is imported here.
    with pytest.raises(Exception, match="sha256 differs"):
        _pyfunc(tracking_uri, problem_name, "champion", monkeypatch)


def test_download_uses_our_copy_and_mends_it(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    # MLflow is not even asked while our copy is whole ...
    ours = download(problem_name, version, "http://localhost:1", tmp_path)
    assert bundle_key(ours) == bundle_key(bundle)
    # ... and a damaged or lost copy is fetched again.
    (ours / "bundle.json").write_text("{}")
    assert bundle_key(download(problem_name, version, tracking_uri, tmp_path)) == bundle_key(bundle)
    assert f"{ours} is damaged: version {version} of {problem_name} is fetched from MLflow again" in caplog.text
    # Which bundle a version is stands twice.
    (tmp_path / "registry" / problem_name / "versions" / f"{version}.json").write_text("{}")
    assert download(problem_name, version, "http://localhost:1", tmp_path) == ours
    shutil.rmtree(tmp_path / "registry")
    assert Bundle.load(download(problem_name, version, tracking_uri, tmp_path)).problem == problem_name


def test_download_refuses_what_was_not_registered(
    tracking_uri: str, problem_name: str, bundle: Path, run_id: str, tmp_path: Path
) -> None:
    """Somebody replaced the whole bundle in the artifact store, manifest and all."""
    version = _register(bundle, problem_name, tracking_uri, tmp_path, run_id)
    folder = Path(connect(tracking_uri).get_model_version_download_uri(problem_name, version).removeprefix("file://"))
    (stored,) = [path.parent for path in folder.rglob("manifest.json")]
    shutil.rmtree(stored)
    shutil.copytree(make_bundle(tmp_path / "other", problem_name, seed=1), stored)
    with pytest.raises(CorruptError, match="not the bundle that was registered"):
        download(problem_name, version, tracking_uri, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere" / "registry" / problem_name / "bundles").exists()


def test_download_of_an_unknown_version(tracking_uri: str, problem_name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no version 7"):
        download(problem_name, "7", tracking_uri, tmp_path)


class TestAliases:
    """Mirroring the ledger: what is ours is set, what a person did is reported, a crash is mended."""

    @pytest.fixture
    def ledger(self, tracking_uri: str, problem_name: str, tmp_path: Path) -> Ledger:
        """Three versions, the second is champion."""
        client = connect(tracking_uri)
        client.create_registered_model(problem_name)
        for _ in range(3):
            client.create_model_version(problem_name, source="file:///nowhere", run_id="r")
        ledger = Ledger(tmp_path, problem_name)
        ledger.promote("1", None, "first", {}, 1)
        ledger.promote("2", "1", "better", {}, 2)
        return ledger

    @staticmethod
    def aliases(uri: str, problem: str) -> dict[str, str]:
        return {name: str(v) for name, v in connect(uri).get_registered_model(problem).aliases.items()}

    def test_the_ledger_is_mirrored(self, tracking_uri: str, problem_name: str, ledger: Ledger, tmp_path: Path) -> None:
        assert mirror(tmp_path, problem_name, tracking_uri, challenger="3") == ()
        assert self.aliases(tracking_uri, problem_name) == {"champion": "2", "previous": "1", "challenger": "3"}
        ledger.rollback(3)
        assert mirror(tmp_path, problem_name, tracking_uri, challenger=None) == ()
        assert self.aliases(tracking_uri, problem_name) == {"champion": "1"}
        versions = connect(tracking_uri).search_model_versions(f"name = '{problem_name}'")
        marks = {str(item.version): item.tags.get("validation_status") for item in versions}
        assert marks == {"1": "passed", "2": "rolled_back", "3": None}

    def test_an_alias_moved_by_hand_is_a_proposal(
        self, tracking_uri: str, problem_name: str, ledger: Ledger, tmp_path: Path
    ) -> None:
        mirror(tmp_path, problem_name, tracking_uri)
        connect(tracking_uri).set_registered_model_alias(problem_name, "champion", "3")
        (proposal,) = mirror(tmp_path, problem_name, tracking_uri)
        assert (proposal.alias, proposal.expected, proposal.actual) == ("champion", "2", "3")
        assert "moved @champion to version 3; the ledger says version 2" in str(proposal)
        assert self.aliases(tracking_uri, problem_name)["champion"] == "3"
        # Accepting it is a promotion; the mirror then agrees.
        ledger.promote("3", "2", "accepted", {}, 3)
        assert mirror(tmp_path, problem_name, tracking_uri) == ()
        assert self.aliases(tracking_uri, problem_name) == {"champion": "3", "previous": "2"}

    def test_overwrite_puts_it_back(self, tracking_uri: str, problem_name: str, ledger: Ledger, tmp_path: Path) -> None:
        mirror(tmp_path, problem_name, tracking_uri)
        connect(tracking_uri).set_registered_model_alias(problem_name, "champion", "3")
        assert mirror(tmp_path, problem_name, tracking_uri, overwrite=True) == ()
        assert self.aliases(tracking_uri, problem_name)["champion"] == "2"

    @pytest.mark.parametrize("killed_at", ["before MLflow", "after MLflow", "after MLflow, then promoted again"])
    def test_a_crash_between_ledger_and_alias_converges(
        self, tracking_uri: str, problem_name: str, ledger: Ledger, tmp_path: Path, killed_at: str
    ) -> None:
        mirror(tmp_path, problem_name, tracking_uri)
        ledger.promote("3", "2", "better", {}, 3)
        ledger.begin_alias_write("champion", "3")
        if killed_at != "before MLflow":
            connect(tracking_uri).set_registered_model_alias(problem_name, "champion", "3")
        if killed_at == "after MLflow, then promoted again":
            ledger.promote("1", "3", "by hand", {}, 4, force=True)
        assert mirror(tmp_path, problem_name, tracking_uri) == ()
        champion = ledger.champion()
        assert champion is not None
        assert self.aliases(tracking_uri, problem_name)["champion"] == champion.version

    def test_a_deleted_champion_is_reported_until_it_is_back(
        self, tracking_uri: str, problem_name: str, ledger: Ledger, tmp_path: Path
    ) -> None:
        mirror(tmp_path, problem_name, tracking_uri)
        connect(tracking_uri).delete_model_version(problem_name, "2")
        for _ in range(2):
            (proposal,) = mirror(tmp_path, problem_name, tracking_uri)
            assert (proposal.expected, proposal.actual) == ("2", None)
            assert "version 2, @champion in the ledger, was deleted in MLflow" in str(proposal)

    def test_without_a_registered_model(self, tracking_uri: str, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="no such registered model"):
            mirror(tmp_path, "nothing", tracking_uri)
