"""The services of a local installation: what each is started with, and what says that it is up.

Prefect server, MLflow, Evidently's pages, a worker whose schedules are live, and the prediction API. A Prefect or
MLflow server that the user names (PREFECT_API_URL, MLFLOW_TRACKING_URI) is used as it is, and none is started here.
"""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, datetime

import httpx

from headrace.core.hosts import LOOPBACK, reachable
from headrace.core.settings import QUIET, Settings
from headrace.services.lifecycle import Service

WORK_POOL = "headrace"
WORKER = "headrace-local"
#: How a service is started. -P: no module is taken from the current folder, which is the user's.
_MODULE = (sys.executable, "-P", "-m")


def local_services(settings: Settings, problem: str = "flights") -> tuple[Service, ...]:
    """The services of a local installation, in the order they are started."""
    root, host = settings.root, settings.host
    name = reachable(host)
    mlflow_url, api_url = f"http://{name}:{settings.mlflow_port}", f"http://{name}:{settings.api_port}"
    prefect_url = f"http://{name}:{settings.prefect_port}"
    since = datetime.now(UTC)
    prefect_api_url = (settings.prefect_api_url or f"{prefect_url}/api").rstrip("/")
    ours = {
        **QUIET,
        "HEADRACE_HOME": str(root),
        "HEADRACE_HOST": host,
        "HEADRACE_ALLOWED_HOSTS": settings.allowed_hosts or "",
        "HEADRACE_API_PORT": str(settings.api_port),
        "HEADRACE_EVIDENTLY_PORT": str(settings.evidently_port),
        "PREFECT_HOME": str(root / "prefect"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "headrace",
    }
    clients = {
        **ours,
        "PREFECT_API_URL": prefect_api_url,
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri or mlflow_url,
    }
    prefect = Service(
        name="Prefect",
        command=(*_MODULE, "headrace.flows.server", "--host", host, "--port", str(settings.prefect_port)),
        env={**ours, **prefect_server_env(settings)},
        url=prefect_url,
        probe=f"{prefect_url}/api/health",
        port=settings.prefect_port,
        setting="HEADRACE_PREFECT_PORT",
    )
    mlflow = Service(
        name="MLflow",
        command=_mlflow_command(settings),
        env={**ours, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        url=mlflow_url,
        probe=f"{mlflow_url}/health",
        port=settings.mlflow_port,
        setting="HEADRACE_MLFLOW_PORT",
    )
    api = Service(
        name="API",
        command=(*_MODULE, "headrace.api", "--problem", problem),
        env=clients,
        url=api_url,
        probe=f"{api_url}/healthz",
        port=settings.api_port,
        setting="HEADRACE_API_PORT",
        after=() if settings.mlflow_tracking_uri else ("MLflow",),
    )
    evidently_url = f"http://{name}:{settings.evidently_port}"
    evidently = Service(
        name="Evidently",
        command=(
            *_MODULE,
            "headrace.monitor.report.server",
            "--host",
            host,
            "--port",
            str(settings.evidently_port),
        ),
        env=ours,
        url=evidently_url,
        probe=f"{evidently_url}/api/version",
        port=settings.evidently_port,
        setting="HEADRACE_EVIDENTLY_PORT",
    )
    worker = Service(
        name="worker",
        command=(
            *_MODULE,
            "prefect",
            "worker",
            "start",
            "--pool",
            WORK_POOL,
            "--type",
            "process",
            "--name",
            WORKER,
        ),
        env=clients,
        after=() if settings.prefect_api_url else ("Prefect",),
        prepare=(*_MODULE, "headrace.flows", "deploy", problem),
        ready=lambda: _worker_is_online(prefect_api_url, since),
    )
    chosen = [prefect, mlflow, evidently, api, worker]
    named = {"Prefect": settings.prefect_api_url, "MLflow": settings.mlflow_tracking_uri}
    return tuple(service for service in chosen if not named.get(service.name))


def prefect_server_env(settings: Settings, port: int | None = None) -> dict[str, str]:
    """What a Prefect server of ours is started with. port: where it listens, else the setting's."""
    return {
        # The address is relative: pages ask the server that they came from, by whatever name it was opened.
        "PREFECT_SERVER_UI_API_URL": "/api",
        # No other page may read an answer (the default is any), and what changes something carries a token, too.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(_origins(settings, port or settings.prefect_port)),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        # Or a server that ends while a deployment runs forgets who has its only place, and gives it to nobody else.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }


def _origins(settings: Settings, port: int) -> tuple[str, ...]:
    """The origins of a service's own pages: by its names, and behind a proxy on the usual ports."""
    extra = [host for host in settings.hosts if host not in LOOPBACK and host != "*"]
    return (
        *(f"http://{host}:{port}" for host in (*LOOPBACK, *extra)),
        *(f"{scheme}://{host}" for host in extra for scheme in ("http", "https")),
    )


def _mlflow_command(settings: Settings) -> tuple[str, ...]:
    # Artifacts are plain paths, not proxied through the server: a run logged with the server up can be read, and its
    # model loaded, when it is down again.
    # Hosts: MLflow's own defaults let in `10.evil.example`, which looks to it like a private address. With a port an
    # entry is a pattern, where a bracket has to be quoted; in an
    # origin it would make a pattern, too, and loopback origins are let in anyway.
    origins = _origins(settings, settings.mlflow_port)
    hosts = [f"{host.replace('[', '[[]')}:*" for host in settings.hosts if host != "*"]
    return (
        *(*_MODULE, "mlflow", "server", "--host", settings.host, "--port", str(settings.mlflow_port)),
        *("--backend-store-uri", settings.mlflow_store, "--workers", "1"),
        *("--default-artifact-root", str(settings.root / "mlflow" / "artifacts"), "--no-serve-artifacts"),
        *("--app-name", "headrace"),
        *("--allowed-hosts", ",".join((*settings.hosts, *hosts))),
        *("--cors-allowed-origins", ",".join(one for one in origins if "[" not in one)),
    )


def csrf_headers(client: httpx.Client, prefect_api_url: str) -> dict[str, str]:
    """What a request that changes something carries to a Prefect server; its own clients do so by themselves."""
    name = uuid.uuid4().hex  # a token ends when another one is given to its name
    told = client.get(f"{prefect_api_url}/csrf-token", params={"client": name}).json()
    # A server without that protection says so, and looks at no token.
    return {"prefect-csrf-client": name, "prefect-csrf-token": told.get("token", "")}


def _worker_is_online(prefect_api_url: str, since: datetime) -> bool:
    """Whether our worker has reported after `since`: the server calls one that was stopped online for 90 s more."""
    try:
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            workers = f"{prefect_api_url}/work_pools/{WORK_POOL}/workers/filter"
            answer = client.post(workers, json={}, headers=csrf_headers(client, prefect_api_url))
            answer.raise_for_status()
            beats = [one["last_heartbeat_time"] for one in answer.json() if one["name"] == WORKER]
    except (httpx.HTTPError, ValueError):
        return False
    return any(datetime.fromisoformat(beat) >= since for beat in beats if beat)
