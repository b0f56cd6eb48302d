"""A version's number names one bundle for good, whatever becomes of MLflow's own store."""

from __future__ import annotations

from pathlib import Path

from headrace.core.files import write_json
from headrace.registry.client import connect
from headrace.registry.models import bundle_key, download, register
from headrace.registry.tracking import log_study
from tests.registry.test_registry_models import make_bundle


def test_an_emptied_mlflow_does_not_give_old_numbers_new_contents(
    tracking_uri: str, problem_name: str, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "bundle", problem_name)
    run_id = log_study(tracking_uri, problem_name, key="study", study_name="study", trials=())
    for version in ("1", "2"):  # what was registered before MLflow was emptied
        write_json(tmp_path / "registry" / problem_name / "versions" / f"{version}.json", {"key": "another bundle"})

    def registered() -> str:
        return register(
            bundle, problem=problem_name, metrics={}, tracking_uri=tracking_uri, root=tmp_path, run_id=run_id
        )

    assert (registered(), registered()) == ("3", "3")
    found = connect(tracking_uri).search_model_versions(f"name = '{problem_name}'")
    assert [str(item.version) for item in found] == ["3"]
    assert bundle_key(download(problem_name, "3", tracking_uri, tmp_path)) == bundle_key(bundle)
