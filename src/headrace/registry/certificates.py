"""Certificates in MLflow: files at the model of a version, and tags of the version that tell the verdict.

A certificate is made when a version exists already, so its files are artifacts of the version's logged model, below
`certificate/`, and not part of the bundle whose hashes it states.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import NotFoundError
from headrace.core.fingerprint import file_digest
from headrace.registry.client import absent, artifact_store, connect, translated
from headrace.registry.tracking import log_artifacts

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

#: Tags of a version: passed or failed, and the sha256 of the certificate's JSON file.
CERTIFICATE, CERTIFICATE_SHA = "headrace.certificate", "headrace.certificate_sha256"
FOLDER = "certificate"


def logged_model_id(version: ModelVersion) -> str | None:
    """Return the id of a version's logged model; MLflow's SQL store keeps it only in the version's source."""
    inside = re.search(r"/models/(m-[0-9a-f]+)/", str(version.source))
    return version.model_id or (inside.group(1) if inside else None)


def attach_certificate(
    tracking_uri: str, problem: str, version: str, files: tuple[Path, Path], *, passed: bool
) -> None:
    """Put a certificate at a version. Repeated, it replaces the earlier one.

    Args:
        tracking_uri: Address of MLflow.
        problem: Name of the registered model.
        version: The version.
        files: The JSON file and the HTML file.
        passed: The verdict.

    Raises:
        NotFoundError: MLflow has no such version.
    """
    from mlflow.exceptions import MlflowException

    client = connect(tracking_uri)
    try:
        found = client.get_model_version(problem, version)
        if model := logged_model_id(found):
            with artifact_store(f"MLflow, {problem} version {version}"):
                for path in files:
                    client.log_model_artifact(model, str(path), FOLDER)
        elif found.run_id:
            log_artifacts(client, found.run_id, files)
        client.set_model_version_tag(problem, version, CERTIFICATE_SHA, file_digest(files[0]))
        client.set_model_version_tag(problem, version, CERTIFICATE, "passed" if passed else "failed")
    except MlflowException as error:
        if absent(error):
            raise NotFoundError(f"no version {version}", where=f"MLflow, model {problem}") from None
        raise translated(error, f"version {version} of {problem}") from error
