"""Read the study that a model version came from, from MLflow: what a retrain of that version already knows.

A search leaves its trials as an artifact of its run. A version without a search, such as a promoted shadow, names the
version whose recipe it has, and that version's study counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.files import read_json
from headrace.registry.client import absent, artifact_store, connect, translated
from headrace.search.transfer.known import STUDY

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

#: Tag of a run: the version whose recipe was fitted.
RECIPE_OF = "headrace.recipe_of"
#: Versions without a search that may follow each other.
_MOST = 50


def read_study(problem: str, version: str, tracking_uri: str) -> Sequence[dict[str, Any]]:
    """Return what a search has left for the next one, of a version or of the one whose recipe it has.

    Args:
        problem: Name of the problem.
        version: Model version.
        tracking_uri: Address of MLflow.

    Returns:
        One JSON object per trial; none where the run, its artifact or the version was deleted.

    Raises:
        UnavailableError: MLflow, or the store of its artifacts, does not answer.
    """
    client = connect(tracking_uri)
    following: str | None = version
    for _ in range(_MOST):
        run = _run_of(client, problem, following) if following is not None else None
        if run is None:
            return ()
        trials = _trials(client, str(run.info.run_id))
        if trials is not None:
            return trials
        following = run.data.tags.get(RECIPE_OF)
    return ()


def _trials(client: MlflowClient, run_id: str) -> list[dict[str, Any]] | None:
    """Return what the search of a run has left; None where it has left nothing."""
    with artifact_store(f"MLflow, artifacts of run {run_id}"), tempfile.TemporaryDirectory() as folder:
        if not any(item.path == STUDY for item in client.list_artifacts(run_id)):
            return None
        trials: list[dict[str, Any]] = read_json(Path(client.download_artifacts(run_id, STUDY, folder)))
        return trials


def _run_of(client: MlflowClient, problem: str, version: str) -> Run | None:
    from mlflow.exceptions import MlflowException

    try:
        run_id = client.get_model_version(problem, version).run_id
        return client.get_run(run_id) if run_id else None
    except MlflowException as error:
        if absent(error):
            return None
        raise translated(error, f"MLflow, {problem} version {version}") from error
