"""Register model bundles as versions in MLflow and load them; each bundle is registered once.

A bundle's key is the sha256 of its manifest, which contains the sha256 of every file. The key is a tag of the version
(so the same bundle is never registered twice, and one whose version was deleted is registered again) and the name of a
local copy (so serving starts without MLflow, and a version deleted there still serves):

    registry/<problem>/bundles/<key>/           the bundle; its manifest is checked at every use
    registry/<problem>/versions/<version>.json  which bundle a version is
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import staged_folder
from headrace.core.manifest import check_manifest
from headrace.core.replicas import read_replicas, write_replicas
from headrace.models.bundle import Bundle, manifest_digest
from headrace.registry import probe
from headrace.registry.client import KEY, STATUS, absent, connect, download_files, experiment_id, quoted, translated
from headrace.registry.logged_models import logged_model
from headrace.registry.packaged_code import model_code
from headrace.registry.signatures import SIGNATURE, require_signature, sign_version
from headrace.registry.tracking import log_artifacts
from headrace.synthesis.language.definitions import Definition

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

_EXAMPLE_ROWS = 5


def bundle_key(folder: Path) -> str:
    """Check a bundle's files against its manifest and return its key."""
    check_manifest(folder)
    return manifest_digest(folder)


def register(
    folder: Path,
    *,
    problem: str,
    metrics: Mapping[str, float],
    tracking_uri: str,
    root: Path,
    run_id: str,
    tags: Mapping[str, str] | None = None,
    artifacts: Sequence[Path] = (),
    known_versions: Collection[str] = (),
) -> str:
    """Register a bundle as a version of the registered model named like the problem. Idempotent.

    A killed registration is completed by the next one. A version number that names another bundle locally is skipped:
    MLflow was emptied or replaced, and a version that the ledger knows must not get other contents.

    Args:
        folder: Folder of the bundle.
        problem: Name of the problem.
        metrics: Become tags of the version.
        tracking_uri: Address of MLflow.
        root: Home folder.
        run_id: Run that the version comes from.
        tags: Further tags of the version.
        artifacts: Files (plots) for the run.
        known_versions: Versions in the ledger; reused only for the same bundle.

    Returns:
        The version, new or existing.

    Raises:
        CorruptError: The bundle does not match its manifest.
    """
    key = bundle_key(folder)
    client = connect(tracking_uri)
    home = _registry_folder(root, problem)
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        versions = [
            version
            for version in _versions_with_key(client, problem, key)
            if _is_available(root, problem, version, key)
        ]
        version = min(versions, key=int, default="")
        if not version:
            model = logged_model(
                client,
                experiment_id(client, tracking_uri, problem),
                name=problem,
                key=key,
                run_id=run_id,
                save=partial(_save, folder),
            )
            marks = {KEY: key, **_tags(metrics), **(tags or {})}
            version = create_version(client, problem, model, run_id, marks)
            while not _is_available(root, problem, version, key, known_versions):
                client.delete_model_version(problem, version)  # MLflow never gives its number again
                version = create_version(client, problem, model, run_id, marks)
        sign_version(client, problem, version, folder, _signature_file(root, problem, key))
        _store_copy(root, problem, version, key, folder)
    log_artifacts(client, run_id, [path for path in artifacts if path.exists()])
    return version


def version_exists(problem: str, version: str, tracking_uri: str) -> bool:
    """Whether MLflow still has a version."""
    if probe.local(tracking_uri):
        return probe.version(tracking_uri, problem, version) is not None
    return _version_key(connect(tracking_uri), problem, version) is not None


def same_bundle(root: Path, problem: str, version: str, other: str) -> bool:
    """Whether two versions are the same bundle: one was deleted in MLflow and registered again."""
    keys = {_local_key(root, problem, one) for one in (version, other)}
    return len(keys) == 1 and None not in keys


def download(problem: str, version: str, tracking_uri: str, root: Path) -> Path:
    """Return the local bundle folder of a version, checked against its manifest, key and signature.

    An intact local copy is used; otherwise the bundle is downloaded from MLflow.

    Raises:
        NotFoundError: The version does not exist.
        CorruptError: MLflow has other files than were registered, or it is not signed as the settings demand.
        UnavailableError: The store of MLflow's artifacts does not answer.
    """
    where = f"{problem} version {version}"
    copy = _local_copy(root, problem, version)
    if copy is not None:
        require_signature(copy, _signature_file(root, problem, copy.name), where=where)
        return copy
    client = connect(tracking_uri)
    key = _version_key(client, problem, version)
    if key is None:
        raise NotFoundError(f"no version {version}", where=f"MLflow, model {problem}", fix="run again to register one")
    with tempfile.TemporaryDirectory() as temporary:
        fetched = _fetch(client, problem, version, tracking_uri, Path(temporary))
        if bundle_key(fetched) != key:
            raise CorruptError("is not the bundle that was registered", where=f"MLflow, {where}")
        tag = str(client.get_model_version(problem, version).tags.get(SIGNATURE, ""))
        require_signature(fetched, _signature_file(root, problem, key), where=where, tag=tag)
        return _store_copy(root, problem, version, key, fetched)


def _tags(metrics: Mapping[str, float]) -> dict[str, str]:
    return {STATUS: "pending", **{f"metric.{name}": f"{value:.6g}" for name, value in metrics.items()}}


# -- MLflow


def _versions_with_key(client: MlflowClient, problem: str, key: str) -> list[str]:
    condition = f"name = {quoted(problem)} and tags.`{KEY}` = {quoted(key)}"
    return [str(item.version) for item in client.search_model_versions(condition)]


def _version_key(client: MlflowClient, problem: str, version: str) -> str | None:
    """Return the key of a version; "" where Headrace did not register it; None where it does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_model_version(problem, version).tags.get(KEY, ""))
    except MlflowException as error:
        if absent(error):
            return None
        raise translated(error, f"MLflow, {problem} version {version}") from error


def _save(folder: Path, target: Path) -> None:
    bundle = Bundle.load(folder)
    slugs = [item.slug for item in bundle.definitions]
    code = model_code(bundle.families)
    with warnings.catch_warnings():
        # MLflow warns about its own type hints while it is imported.
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            target,
            loader_module=code.loader,
            data_path=str(folder),
            code_paths=[str(code.write(target.with_name("code")))],
            signature=_signature(bundle.definitions),
            input_example=bundle.read_reference().select(slugs).slice(0, _EXAMPLE_ROWS).to_pandas(),
            # Given, so that MLflow does not spend 20 s on guessing them.
            pip_requirements=code.requirements(bundle.families),
        )


def _signature(definitions: Sequence[Definition]) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    columns = [ColSpec("string" if item.kind == "categorical" else "double", item.slug) for item in definitions]
    return ModelSignature(inputs=Schema([*columns]), outputs=Schema([TensorSpec(np.dtype("float64"), (-1,))]))


def create_version(client: MlflowClient, problem: str, model: LoggedModel, run_id: str, tags: Mapping[str, str]) -> str:
    """Create a version of a registered model, which is created where missing; return its number."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(problem)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise translated(error, f"MLflow, model {problem}") from error
    # By location: a source `models:/<id>` is looked up in the process's ambient tracking store, not in this client's.
    version = client.create_model_version(
        problem, source=model.artifact_location, run_id=run_id, model_id=model.model_id, tags=dict(tags)
    )
    return str(version.version)


def _fetch(client: MlflowClient, problem: str, version: str, tracking_uri: str, target: Path) -> Path:
    """Download the artifacts of a version, and return the folder of the bundle among them."""
    files = download_files(client, problem, version, tracking_uri, target)
    found = next((path.parent for path in files.rglob("manifest.json")), None)
    if found is None:
        raise CorruptError("has no bundle among its artifacts", where=f"MLflow, {problem} version {version}")
    return found


# -- local copies


def _registry_folder(root: Path, problem: str) -> Path:
    return root / "registry" / problem


def _signature_file(root: Path, problem: str, key: str) -> Path:
    return _registry_folder(root, problem) / "signatures" / f"{key}.json"


def _store_copy(root: Path, problem: str, version: str, key: str, folder: Path) -> Path:
    copy = _registry_folder(root, problem) / "bundles" / key
    if not _is_intact(copy, key):
        shutil.rmtree(copy, ignore_errors=True)
        with staged_folder(copy) as staged:
            shutil.copytree(folder, staged, dirs_exist_ok=True)
    note = _registry_folder(root, problem) / "versions" / f"{version}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(note.with_name(".lock")):
        write_replicas(note, {"key": key})
    return copy


def _local_copy(root: Path, problem: str, version: str) -> Path | None:
    key = _local_key(root, problem, version)
    if key is None:
        return None
    copy = _registry_folder(root, problem) / "bundles" / key
    if _is_intact(copy, key):
        return copy
    _log.warning("%s is damaged: version %s of %s is fetched from MLflow again", copy, version, problem)
    return None


def _local_key(root: Path, problem: str, version: str) -> str | None:
    """Return the key of the bundle that a version number names locally; None where it names none."""
    try:
        return str(read_replicas(_registry_folder(root, problem) / "versions" / f"{version}.json")["key"])
    except (NotFoundError, CorruptError):
        return None


def _is_available(root: Path, problem: str, version: str, key: str, known_versions: Collection[str] = ()) -> bool:
    local_key = _local_key(root, problem, version)
    return local_key == key or (local_key is None and version not in known_versions)


def _is_intact(copy: Path, key: str) -> bool:
    try:
        return bundle_key(copy) == key
    except (NotFoundError, CorruptError):
        return False
