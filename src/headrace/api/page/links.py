"""Addresses that the page links to: Prefect, MLflow, Evidently and Feast, as the reader's browser reaches them."""

from __future__ import annotations

import socket
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from headrace.core.hosts import LOOPBACK, reachable
from headrace.core.redact import redact
from headrace.core.server_auth import mlflow_auth
from headrace.core.settings import Settings

_TIMEOUT_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Links:
    """Addresses of services without a trailing slash; "" for one that has no pages.

    Attributes:
        prefect, mlflow, evidently, feast: Of the pages.
    """

    prefect: str = ""
    mlflow: str = ""
    evidently: str = ""
    feast: str = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Links:
        """The user's own servers, else those that `headrace up` starts. They may contain credentials: see `seen_by`."""

        def own(port: int) -> str:
            return f"http://{reachable(settings.host)}:{port}"

        mlflow = settings.mlflow_tracking_uri or own(settings.mlflow_port)
        return cls(
            prefect=(settings.prefect_api_url or own(settings.prefect_port)).rstrip("/").removesuffix("/api"),
            mlflow=mlflow.rstrip("/") if mlflow.startswith("http") else "",
            evidently=own(settings.evidently_port),
            feast=own(settings.feast_port),
        )

    def seen_by(self, host: str) -> Links:
        """The addresses without credentials; of services on this machine by the name that a browser called it.

        Args:
            host: Name of this server in the request, without a port.
        """
        return replace(self, **{item.name: _renamed(redact(getattr(self, item.name)), host) for item in fields(self)})

    def up(self) -> Links:
        """The addresses of services that accept connections; "" for the others."""
        return replace(
            self,
            **{item.name: address if _is_open(address := getattr(self, item.name)) else "" for item in fields(self)},
        )


def mlflow_runs(mlflow: str, problem: str) -> str:
    """Return the page of a problem's runs in MLflow; that of all experiments where it has none or does not answer.

    MLflow's own start page, and that of an experiment, open in a view for prompts and traces.
    """
    experiment = _experiment_id(mlflow, problem)
    if experiment is None:
        return f"{mlflow}/#/experiments?workflowType=machine_learning"
    return f"{mlflow}/#/experiments/{experiment}/runs?workflowType=machine_learning"


def mlflow_version(mlflow: str, problem: str, version: str) -> str:
    """Return the page of a model version in MLflow, beside the pages of model training."""
    return f"{mlflow_versions(mlflow, problem)}/versions/{quote(version, safe='')}?workflowType=machine_learning"


def mlflow_versions(mlflow: str, problem: str) -> str:
    """Return the page of all versions of a problem's model in MLflow."""
    return f"{mlflow}/#/models/{quote(problem, safe='')}"


def _experiment_id(mlflow: str, problem: str) -> str | None:
    try:
        with httpx.Client(trust_env=False, timeout=2.0, auth=mlflow_auth()) as client:
            found = client.get(f"{mlflow}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": problem})
            body: dict[str, Any] = found.json() if found.status_code == httpx.codes.OK else {}
    except (httpx.HTTPError, ValueError):
        return None
    identifier = body.get("experiment", {}).get("experiment_id")
    return str(identifier) if identifier else None


def _renamed(address: str, host: str) -> str:
    parts = urlsplit(address)
    if parts.hostname is None or (f"[{parts.hostname}]" not in LOOPBACK and parts.hostname not in LOOPBACK):
        return address
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{host}{port}").geturl()


def _is_open(address: str) -> bool:
    parts = urlsplit(address)
    if not parts.hostname:
        return False
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True
