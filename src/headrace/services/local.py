"""Declare the services of a local installation from the settings, for `headrace up`: commands, environment, probes.

They are the Prefect server, MLflow, the pages of Evidently and Feast, the prediction API, and a worker that runs
scheduled flows. A Prefect or MLflow server that the user names (PREFECT_API_URL, MLFLOW_TRACKING_URI) replaces the
local one.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from headrace.core.hosts import LOOPBACK, reachable
from headrace.core.prefect_server import worker_is_online
from headrace.core.settings import QUIET, Settings
from headrace.services.lifecycle import Service

WORK_POOL = "headrace"
WORKER = "headrace-local"
#: Runs a module. -P: nothing is imported from the current folder, which is the user's.
PYTHON_MODULE = (sys.executable, "-P", "-m")


def local_services(settings: Settings, problem: str = "flights") -> tuple[Service, ...]:
    """Declare the services of a local installation.

    Args:
        settings: Home folder, host, ports, and servers of the user's own.
        problem: The problem that the API predicts and whose flows are scheduled: a built-in name, or an absolute path.

    Returns:
        The services in the order to start them.
    """
    services = []
    if not settings.prefect_api_url:
        services.append(_prefect(settings))
    if not settings.mlflow_tracking_uri:
        services.append(_mlflow(settings))
    pages = (_evidently(settings), _feast(settings))
    return (*services, *pages, _api(settings, problem), _worker(settings, problem))


def _prefect(settings: Settings) -> Service:
    url = _url(settings, settings.prefect_port)
    return Service(
        name="Prefect",
        command=(*PYTHON_MODULE, "headrace.flows.server", *_listen(settings, settings.prefect_port)),
        env={**_environment(settings), **prefect_server_env(settings)},
        url=url,
        probe=f"{url}/api/health",
        port=settings.prefect_port,
        setting="HEADRACE_PREFECT_PORT",
    )


def _mlflow(settings: Settings) -> Service:
    url = _url(settings, settings.mlflow_port)
    # Clients read and write artifacts by path, not through the server: a model that was logged while the server ran
    # loads after it has stopped.
    storage = (
        *("--backend-store-uri", settings.mlflow_store, "--default-artifact-root"),
        *(str(settings.root / "mlflow" / "artifacts"), "--no-serve-artifacts"),
    )
    return Service(
        name="MLflow",
        command=(
            *(*PYTHON_MODULE, "mlflow", "server", *_listen(settings, settings.mlflow_port), "--workers", "1"),
            *(*storage, "--app-name", "headrace", *_mlflow_access(settings)),
        ),
        env={**_environment(settings), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        url=url,
        probe=f"{url}/health",
        port=settings.mlflow_port,
        setting="HEADRACE_MLFLOW_PORT",
    )


def _evidently(settings: Settings) -> Service:
    url = _url(settings, settings.evidently_port)
    return Service(
        name="Evidently",
        command=(*PYTHON_MODULE, "headrace.monitor.report.server", *_listen(settings, settings.evidently_port)),
        env=_environment(settings),
        url=url,
        probe=f"{url}/api/version",
        port=settings.evidently_port,
        setting="HEADRACE_EVIDENTLY_PORT",
    )


def _feast(settings: Settings) -> Service:
    url = _url(settings, settings.feast_port)
    return Service(
        name="Feast",
        command=(*PYTHON_MODULE, "headrace.store.ui", *_listen(settings, settings.feast_port)),
        env=_environment(settings),
        url=url,
        probe=f"{url}/health",
        port=settings.feast_port,
        setting="HEADRACE_FEAST_PORT",
    )


def _api(settings: Settings, problem: str) -> Service:
    url = _url(settings, settings.api_port)
    return Service(
        name="API",
        command=(*PYTHON_MODULE, "headrace.api", "--problem", problem),
        env=_client_environment(settings),
        url=url,
        probe=f"{url}/healthz",
        port=settings.api_port,
        setting="HEADRACE_API_PORT",
        after=() if settings.mlflow_tracking_uri else ("MLflow",),
    )


def _worker(settings: Settings, problem: str) -> Service:
    since = datetime.now(UTC)
    names = ("--pool", WORK_POOL, "--type", "process", "--name", WORKER)
    return Service(
        name="worker",
        command=(*PYTHON_MODULE, "prefect", "worker", "start", *names),
        env=_client_environment(settings),
        after=() if settings.prefect_api_url else ("Prefect",),
        prepare=(*PYTHON_MODULE, "headrace.flows", "deploy", problem),
        ready=lambda: worker_is_online(_prefect_api(settings), pool=WORK_POOL, worker=WORKER, since=since),
    )


def _url(settings: Settings, port: int) -> str:
    return f"http://{reachable(settings.host)}:{port}"


def _prefect_api(settings: Settings) -> str:
    return (settings.prefect_api_url or f"{_url(settings, settings.prefect_port)}/api").rstrip("/")


def _listen(settings: Settings, port: int) -> tuple[str, ...]:
    return ("--host", settings.host, "--port", str(port))


def _environment(settings: Settings) -> dict[str, str]:
    """Environment variables of every service."""
    return {
        **QUIET,
        "HEADRACE_HOME": str(settings.root),
        "HEADRACE_HOST": settings.host,
        "HEADRACE_ALLOWED_HOSTS": settings.allowed_hosts or "",
        "HEADRACE_API_PORT": str(settings.api_port),
        "HEADRACE_EVIDENTLY_PORT": str(settings.evidently_port),
        "HEADRACE_FEAST_PORT": str(settings.feast_port),
        "PREFECT_HOME": str(settings.root / "prefect"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "headrace",
    }


def _client_environment(settings: Settings) -> dict[str, str]:
    """Environment variables of a service that calls Prefect and MLflow."""
    return {
        **_environment(settings),
        "PREFECT_API_URL": _prefect_api(settings),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri or _url(settings, settings.mlflow_port),
    }


def prefect_server_env(settings: Settings, port: int | None = None) -> dict[str, str]:
    """Get the environment variables that a Prefect server of Headrace is started with.

    Args:
        settings: Hosts and ports.
        port: Where the server listens; the setting's if left out.
    """
    return {
        # A relative address: pages call the server that they came from, by whatever name it was opened.
        "PREFECT_SERVER_UI_API_URL": "/api",
        # The second interface asks an analytics host whatever the settings say; `flows.server` does not serve it.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # No foreign page may read a response (Prefect's default allows any), and a change needs a token.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(_origins(settings, port or settings.prefect_port)),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        # In memory (Prefect's default), a server that ends during a run loses the lease of the deployment's only
        # concurrency slot, and the slot is never free again.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }


def _mlflow_access(settings: Settings) -> tuple[str, ...]:
    # MLflow's default hosts match `10.evil.example`, as a private address. An entry with a port is a pattern, in which
    # a bracket is quoted. Among the origins a bracket makes a pattern too; loopback origins are allowed anyway.
    hosts = [f"{host.replace('[', '[[]')}:*" for host in settings.hosts if host != "*"]
    origins = [origin for origin in _origins(settings, settings.mlflow_port) if "[" not in origin]
    return (
        *("--allowed-hosts", ",".join((*settings.hosts, *hosts))),
        *("--cors-allowed-origins", ",".join(origins)),
    )


def _origins(settings: Settings, port: int) -> tuple[str, ...]:
    """Origins of a service's own pages: its names with its port, and with a proxy's usual ports."""
    extra = [host for host in settings.hosts if host not in LOOPBACK and host != "*"]
    return (
        *(f"http://{host}:{port}" for host in (*LOOPBACK, *extra)),
        *(f"{scheme}://{host}" for host in extra for scheme in ("http", "https")),
    )
