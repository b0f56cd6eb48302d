"""Logged models of MLflow: the files of a model at its run, made once for a key, for bundles and for tables' models."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.registry.client import KEY, artifact_store, quoted

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.tracking import MlflowClient


def logged_model(
    client: MlflowClient, experiment: str, *, name: str, key: str, run_id: str, save: Callable[[Path], None]
) -> LoggedModel:
    """Return the logged model of a key, existing or new; incomplete ones of a killed process are deleted.

    Args:
        client: Of MLflow.
        experiment: Id of the experiment.
        name: Of a new logged model.
        key: Tag that identifies its files.
        run_id: The run that it belongs to.
        save: Writes the files in MLflow's format into a folder that does not exist yet.
    """
    for model in client.search_logged_models([experiment], filter_string=f"tags.`{KEY}` = {quoted(key)}"):
        if str(model.status) == "READY" and model.source_run_id == run_id:
            return model
        client.delete_logged_model(model.model_id)
    model = client.create_logged_model(experiment, name=name, source_run_id=run_id, tags={KEY: key})
    with tempfile.TemporaryDirectory() as temporary:
        saved = Path(temporary) / "model"
        save(saved)
        with artifact_store(f"MLflow, model {name}"):
            client.log_model_artifacts(model.model_id, str(saved))
    return client.finalize_logged_model(model.model_id, "READY")
