"""Log studies to MLflow: one parent run per study and one child run per trial, by one writer.

Runs have the study's key and the trial's number as tags, so logging a study again after a kill completes it without
duplicates; a child that is still RUNNING was interrupted and is written again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.registry import probe
from headrace.registry.client import KEY, absent, artifact_store, connect, experiment_id, quoted, translated
from headrace.search.trial import Trial

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

TRIAL = "headrace.trial"
_PARENT = "mlflow.parentRunId"
_PAGE = 1000
_LONGEST_VALUE = 5000
#: Status of a trial -> status of its run.
_STATUS = {"ok": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


def log_study(
    tracking_uri: str,
    problem: str,
    *,
    key: str,
    study_name: str,
    trials: Iterable[Trial],
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    artifacts: Sequence[Path] = (),
    seconds: float | None = None,
) -> str:
    """Log a study. Idempotent: the same key completes the same run.

    Args:
        tracking_uri: Address of MLflow.
        problem: Name of the problem and its experiment.
        key: Key of the study.
        study_name: Name of the parent run.
        trials: All trials.
        params: Parameters of the study.
        metrics: Metrics of the study.
        tags: Tags of the study.
        artifacts: Files for the parent run, such as figures.
        seconds: How long the search took, which MLflow shows as the parent run's duration; that of the logging if left
            out.

    Returns:
        The id of the parent run.
    """
    client = connect(tracking_uri)
    experiment = experiment_id(client, tracking_uri, problem)
    parent = _find(client, experiment, f"tags.`{KEY}` = {quoted(key)}")
    length_ms = None if seconds is None else int(seconds * 1000)
    if parent is None:
        started = None if length_ms is None else int(time.time() * 1000) - length_ms
        tags_of_run = {KEY: key, "headrace.kind": "study"}
        parent = client.create_run(experiment, start_time=started, run_name=study_name, tags=tags_of_run)
    parent_id = str(parent.info.run_id)
    children = _children(client, experiment, parent_id)
    for trial in trials:
        child = children.get(str(trial.number))
        if child is None or child.info.status == "RUNNING":
            _log_trial(client, experiment, parent_id, trial, child)
    _log_values(client, parent, params or {}, metrics or {}, tags or {})
    log_artifacts(client, parent_id, artifacts)
    if parent.info.status == "RUNNING":
        end_time = None if length_ms is None else parent.info.start_time + length_ms
        client.set_terminated(parent_id, status="FINISHED", end_time=end_time)
    return parent_id


def experiment_of(tracking_uri: str, problem: str) -> str:
    """Return the id of a problem's experiment."""
    return experiment_id(connect(tracking_uri), tracking_uri, problem)


def run_exists(tracking_uri: str, run_id: str) -> bool:
    """Whether a run exists, is finished, and was not deleted."""
    if probe.local(tracking_uri):
        found = probe.run(tracking_uri, run_id)
        return found is not None and (found["lifecycle_stage"], found["status"]) == ("active", "FINISHED")
    from mlflow.exceptions import MlflowException

    try:
        info = connect(tracking_uri).get_run(run_id).info
    except MlflowException as error:
        if absent(error):
            return False
        raise translated(error, f"MLflow, run {run_id}") from error
    return str(info.lifecycle_stage) == "active" and info.status == "FINISHED"


def attach(
    tracking_uri: str, run_id: str, paths: Sequence[Path], *, metrics: Mapping[str, float] | None = None
) -> None:
    """Put files, such as figures, and metrics at a run; a file of the same name is replaced.

    Args:
        tracking_uri: Address of MLflow.
        run_id: The run.
        paths: Files.
        metrics: Metrics that are known only after the run was logged.
    """
    client = connect(tracking_uri)
    log_artifacts(client, run_id, paths)
    if metrics:
        _log_values(client, client.get_run(run_id), {}, metrics, {})


def log_artifacts(client: MlflowClient, run_id: str, paths: Sequence[Path]) -> None:
    """Log files to a run; a file of the same name is replaced. UnavailableError where the store does not take them.

    The client's own `log_artifact` keeps the folder of a run's id for the whole process, and a home has the run ids of
    the home that it was copied from: the files of a copy would go to the original.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    address = client.get_run(run_id).info.artifact_uri
    with artifact_store(f"MLflow, artifacts of run {run_id}"):
        repository = get_artifact_repository(address, tracking_uri=client.tracking_uri)
        for path in paths:
            repository.log_artifact(str(path))  # type: ignore[no-untyped-call]


def _log_trial(client: MlflowClient, experiment: str, parent: str, trial: Trial, child: Run | None) -> None:
    if child is None:
        identity = {_PARENT: parent, TRIAL: str(trial.number), "headrace.kind": "trial"}
        child = client.create_run(experiment, run_name=f"trial {trial.number}", tags=identity)
    measured = {**trial.info, "loss": trial.loss, "seconds": trial.seconds}
    if trial.cpu_seconds is not None:
        measured["cpu_seconds"] = trial.cpu_seconds
    rungs = measured.pop("rungs", None) or {}
    measured |= {f"rung {number}": loss for number, loss in enumerate(rungs.values(), start=1)}
    error_tags = {"headrace.error": trial.error[:_LONGEST_VALUE]} if trial.error else {}
    _log_values(client, child, trial.config, measured, error_tags)
    # With this end time, MLflow's Duration column shows the time of the training, not of the logging.
    end_time = child.info.start_time + int(trial.seconds * 1000)
    client.set_terminated(child.info.run_id, status=_STATUS[trial.status], end_time=end_time)


def _log_values(
    client: MlflowClient, run: Run, params: Mapping[str, Any], metrics: Mapping[str, Any], tags: Mapping[str, str]
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    # The run's start as the time stamp: writing again gives the same point, not a second one.
    timestamp = run.info.start_time
    finite = {name: float(value) for name, value in metrics.items() if _finite(value)}
    present = run.data.params
    new_params = {name: str(value)[:_LONGEST_VALUE] for name, value in params.items() if name not in present}
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, value, timestamp, 0) for name, value in finite.items()],
        params=[Param(name, value) for name, value in new_params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _find(client: MlflowClient, experiment: str, condition: str) -> Run | None:
    found = client.search_runs(
        [experiment], filter_string=condition, max_results=1, order_by=["attributes.start_time ASC"]
    )
    return found[0] if found else None


def _children(client: MlflowClient, experiment: str, parent: str) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment], filter_string=f"tags.`{_PARENT}` = {quoted(parent)}", max_results=_PAGE, page_token=token
        )
        runs |= {run.data.tags[TRIAL]: run for run in page if TRIAL in run.data.tags}
        token = page.token
        if not token:
            return runs
