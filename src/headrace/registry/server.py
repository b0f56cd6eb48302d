"""MLflow's server behind `headrace.core.guard`: `mlflow server --app-name headrace`, or `headrace-auth` with passwords.

MLflow looks at Host and Origin itself, but lets in pages of every other port of this machine, and its assistant runs
commands for any local client. A page at another port that shows hostile data would be such a client.
"""

from __future__ import annotations

from starlette.types import ASGIApp

from headrace.core.guard import guarded
from headrace.core.settings import settings


def create_app() -> ASGIApp:
    """Return the application that MLflow gives to uvicorn."""
    from mlflow.server.fastapi_app import app

    return guarded(app, settings().hosts, frames=True)


def create_app_with_passwords() -> ASGIApp:
    """Return MLflow's application with its basic authentication, as `--app-name basic-auth` does."""
    from mlflow.server.auth import create_app as create_mlflow_app

    return guarded(create_mlflow_app(), settings().hosts, frames=True)
