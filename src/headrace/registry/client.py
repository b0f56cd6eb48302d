"""Connect to MLflow, with explicit ids in every call.

MLflow's fluent API holds the active run and experiment in process-wide globals, which is unsafe with threads, so it is
not used. `tracking_uri` is a server's address or the embedded store `sqlite:///<root>/mlflow/mlflow.db`, whose
artifacts are in the folder `artifacts` beside the database.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from filelock import FileLock

from headrace.core.errors import HeadraceError, NotFoundError, UnavailableError
from headrace.core.sqlite_files import require_sound
from headrace.registry.relocation import relocate

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

#: Tag with the key of what a run, a model or a version was created from; the same key is never logged twice.
KEY = "headrace.key"
#: Tag with the state of a version: pending, passed or rolled_back.
STATUS = "validation_status"

_SQLITE = "sqlite:///"
_DAMAGED_FIX = (
    "bring it back from a backup, or move it away: the next run then registers anew what it needs, without the history"
)
#: MLflow's error codes for objects that do not exist.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


def connect(tracking_uri: str) -> MlflowClient:
    """Return a client of a tracking server or store; the embedded store is created at first use, under a lock."""
    import mlflow.environment_variables as mlflow_settings
    from mlflow.tracking import MlflowClient

    mlflow_settings.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # type: ignore[no-untyped-call]
    store = embedded_store(tracking_uri)
    if store is None:
        address = without_credentials(tracking_uri)
        return MlflowClient(tracking_uri=address, registry_uri=address)
    store.parent.mkdir(parents=True, exist_ok=True)
    require_sound(store, _DAMAGED_FIX)
    # Two processes that both migrate an empty database would conflict.
    with FileLock(store.with_name(f".{store.name}.lock")), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        relocate(store)
        client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        client.search_registered_models(max_results=1)
        client.search_experiments(max_results=1)
    return client


def without_credentials(tracking_uri: str) -> str:
    """Return a server's address without `user:password@`; MLflow gets the credentials by its environment variables.

    MLflow's errors and logs contain the address.
    """
    parts = urlsplit(tracking_uri)
    if parts.username is None:
        return tracking_uri
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def embedded_store(tracking_uri: str) -> Path | None:
    """Return the database file of an embedded store; None for a server."""
    return Path(tracking_uri.removeprefix(_SQLITE)) if tracking_uri.startswith(_SQLITE) else None


def experiment_id(client: MlflowClient, tracking_uri: str, name: str) -> str:
    """Return the id of an experiment; it is created where missing and restored where deleted. Safe in a race."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        store = embedded_store(tracking_uri)
        location = (store.parent / "artifacts").absolute().as_uri() if store is not None else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise translated(error, f"experiment {name}") from error
            experiment = client.get_experiment_by_name(name)
            assert experiment is not None
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def absent(error: MlflowException) -> bool:
    """Whether an MLflow error says that an object does not exist."""
    return error.error_code in _ABSENT or "not found" in str(error).lower()


def translated(error: MlflowException, where: str) -> HeadraceError:
    """Convert an MLflow error to a HeadraceError."""
    if absent(error):
        return NotFoundError(str(error).split("\n")[0], where=where)
    return UnavailableError(
        f"MLflow refused: {str(error).splitlines()[0]}", where=where, fix="see that the tracking server or store is up"
    )


@contextmanager
def artifact_store(where: str) -> Iterator[None]:
    """Convert any error of MLflow's artifact store to an UnavailableError, while the block reads or writes artifacts.

    Args:
        where: Whose artifacts.
    """
    try:
        yield
    except HeadraceError:
        raise
    except Exception as error:  # MLflow passes on the errors of each store's library, which have no common class
        lines = str(error).splitlines() or [type(error).__name__]
        raise UnavailableError(
            f"the artifact store does not give or take files: {lines[0]}",
            where=where,
            fix="see that MLflow and the store of its artifacts are up, and that the disk has space; run again",
        ) from error


def download_files(client: MlflowClient, name: str, version: str, tracking_uri: str, target: Path) -> Path:
    """Download the files of a model version.

    Args:
        client: Of MLflow.
        name: Of the registered model.
        version: The version.
        tracking_uri: Address of MLflow.
        target: Folder that receives them.

    Raises:
        UnavailableError: The store of MLflow's artifacts does not answer.
    """
    import mlflow.artifacts

    address = without_credentials(tracking_uri)
    with artifact_store(f"MLflow, {name} version {version}"):
        location = client.get_model_version_download_uri(name, version)
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=location, dst_path=str(target), tracking_uri=address, registry_uri=address
            )
        )


def quoted(value: Any) -> str:
    """Quote a value for an MLflow filter string; ValueError where it contains a quote."""
    text = str(value)
    if "'" in text:
        raise ValueError(f"{text!r} cannot be searched for")
    return f"'{text}'"
