"""Check over MLflow's REST API that runs, versions and aliases still exist, without importing MLflow's client.

The client takes 5 s to import where Feast is installed (its MLflow plugin imports all of Feast), longer than all other
work of a cached run. A server on this machine is queried directly; a remote server may need credentials, and the
embedded store has no server: both go through the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from headrace.core.errors import UnavailableError
from headrace.core.server_auth import mlflow_auth

_API = "/api/2.0/mlflow"
_TIMEOUT_S = 10.0


def local(tracking_uri: str) -> bool:
    """Whether the address is a server on this machine, which can be queried without the client."""
    parts = urlsplit(tracking_uri)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1") and parts.username is None


def run(tracking_uri: str, run_id: str) -> Mapping[str, Any] | None:
    """Return a run's info (lifecycle_stage, status); None where it does not exist."""
    response = _get(tracking_uri, "/runs/get", run_id=run_id)
    return None if response is None else dict(response["run"]["info"])


def version(tracking_uri: str, problem: str, number: str) -> Mapping[str, Any] | None:
    """Return a model version; None where it does not exist."""
    response = _get(tracking_uri, "/model-versions/get", name=problem, version=number)
    return None if response is None else dict(response["model_version"])


def registered_model(tracking_uri: str, problem: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return a registered model's aliases (alias -> version) and tags; empty where it does not exist."""
    model = (_get(tracking_uri, "/registered-models/get", name=problem) or {}).get("registered_model", {})
    aliases = {item["alias"]: str(item["version"]) for item in model.get("aliases", [])}
    return aliases, {item["key"]: str(item["value"]) for item in model.get("tags", [])}


def _get(tracking_uri: str, path: str, **parameters: str) -> Mapping[str, Any] | None:
    try:
        with httpx.Client(trust_env=False, timeout=_TIMEOUT_S, auth=mlflow_auth()) as client:
            response = client.get(f"{tracking_uri.rstrip('/')}{_API}{path}", params=parameters)
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"MLflow does not answer ({error})", where=tracking_uri, fix="start it, or unset MLFLOW_TRACKING_URI"
        ) from error
    if response.status_code == httpx.codes.NOT_FOUND:
        return None
    if response.is_error:
        raise UnavailableError(
            f"MLflow answered {response.status_code}", where=tracking_uri, found=[response.text[:200]]
        )
    body: Mapping[str, Any] = response.json()
    return body
