"""Log a run of `headrace automl` to MLflow with its trials and its model, register the model, and fetch it again."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import CorruptError, DeclarationError, NotFoundError
from headrace.core.files import read_json, staged_folder
from headrace.core.fingerprint import file_digest
from headrace.core.manifest import check_manifest
from headrace.registry.client import KEY, absent, connect, download_files, experiment_id, quoted, translated
from headrace.registry.logged_models import logged_model
from headrace.registry.models import create_version
from headrace.registry.signatures import SIGNATURE, require_signature, sign_version
from headrace.registry.tracking import log_study
from headrace.search.trial import Trial

if TYPE_CHECKING:
    pass

_LOADER = "headrace.registry.table_pyfunc"
#: Characters that MLflow refuses in the name of a logged model, though not in that of an experiment.
_REFUSED = re.compile(r"[/:.%\"']")
#: Longest name of an experiment that every store of MLflow takes.
_LONGEST_NAME = 250


def log_table_run(
    tracking_uri: str,
    experiment: str,
    *,
    name: str,
    trials: Sequence[Trial],
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    artifacts: Sequence[Path],
    model: Path,
    register: str | None = None,
) -> tuple[str, str]:
    """Log a run: parameters, metrics, a child run per trial, files, and the model folder. Idempotent by model.

    Args:
        tracking_uri: Address of MLflow.
        experiment: Name of the experiment; what is longer than MLflow takes is cut off.
        name: Name of the run.
        trials: All configurations.
        params: Parameters of the search.
        metrics: Metrics of the ensemble.
        artifacts: Report, leaderboard, plots.
        model: Model folder.
        register: Name of the registered model; None to register nothing.

    Returns:
        The id of the run, and the registered version ("" where none was asked for).
    """
    check_manifest(model)
    experiment = experiment[:_LONGEST_NAME]
    key = file_digest(model / "manifest.json")
    run_id = log_study(
        tracking_uri, experiment, key=f"automl-{key[:32]}", study_name=name, trials=trials, params=params,
        metrics=metrics, artifacts=artifacts,
    )  # fmt: skip
    client = connect(tracking_uri)
    logged = logged_model(
        client,
        experiment_id(client, tracking_uri, experiment),
        name=_REFUSED.sub("-", experiment),
        key=key,
        run_id=run_id,
        save=partial(_save, model),
    )
    if register is None:
        return run_id, ""
    require_name(register, where="register")
    known = client.search_model_versions(f"name = {quoted(register)} and tags.`{KEY}` = {quoted(key)}")
    if known:
        sign_version(client, register, str(known[0].version), model, None)
        return run_id, str(known[0].version)
    tags = {KEY: key, **{f"metric.{metric}": f"{value:.6g}" for metric, value in metrics.items()}}
    number = create_version(client, register, logged, run_id, tags)
    sign_version(client, register, number, model, None)
    return run_id, number


def fetch(address: str, tracking_uri: str, root: Path) -> Path:
    """Return the local model folder of a registered version, `models:/NAME/VERSION`; downloaded once, then checked.

    Raises:
        DeclarationError: The address has another form.
        NotFoundError: There is no such version.
        CorruptError: The version holds no model of `headrace automl`, or other files than were registered.
        UnavailableError: The store of MLflow's artifacts does not answer.
    """
    from mlflow.exceptions import MlflowException

    name, _, number = address.removeprefix("models:/").rpartition("/")
    if not name or not number.isdigit():
        raise DeclarationError(f"{address!r} names no version", where="serve", fix="write models:/NAME/VERSION")
    client = connect(tracking_uri)
    try:
        found = client.get_model_version(name, number)
    except MlflowException as error:
        if absent(error):
            raise NotFoundError(f"no version {number}", where=f"MLflow, model {name}") from None
        raise translated(error, f"MLflow, {name} version {number}") from error
    key, tag = str(found.tags.get(KEY, "")), str(found.tags.get(SIGNATURE, ""))
    copy = root / "registry" / "automl" / key
    if key and copy.is_dir():
        check_manifest(copy)
        require_signature(copy, None, where=address, tag=tag)
        return copy
    with tempfile.TemporaryDirectory() as temporary:
        files = download_files(client, name, number, tracking_uri, Path(temporary))
        folder = next((path.parent for path in files.rglob("card.json")), None)
        if folder is None or file_digest(folder / "manifest.json") != key:
            raise CorruptError("is no model of `headrace automl` as it was registered", where=address)
        check_manifest(folder)
        require_signature(folder, None, where=address, tag=tag)
        with staged_folder(copy) as staged:
            for path in folder.iterdir():
                (staged / path.name).write_bytes(path.read_bytes())
    return copy


def require_name(name: str, *, where: str) -> None:
    """Check that a name can be that of a registered model.

    Raises:
        DeclarationError: MLflow, or the address models:/NAME/VERSION, would not take it.
    """
    if "'" in name or "/" in name or ":" in name or not name.strip() or name in (".", ".."):
        raise DeclarationError(
            f"{name!r} cannot name a registered model", where=where, fix="use letters, digits, dashes and underscores"
        )


def _save(folder: Path, target: Path) -> None:
    with warnings.catch_warnings():
        # MLflow warns about its own type hints while it is imported.
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            target, loader_module=_LOADER, data_path=str(folder), signature=_signature(folder),
            pip_requirements=[f"headrace[automl]=={version('headrace')}"],
        )  # fmt: skip


def _signature(folder: Path) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    columns = read_json(folder / "card.json").get("kinds", {})
    types = {"number": "double", "date": "datetime"}
    inputs = [ColSpec(types.get(kind, "string"), name, required=False) for name, kind in columns.items()]
    return ModelSignature(inputs=Schema([*inputs]), outputs=Schema([TensorSpec(np.dtype("float64"), (-1,))]))
