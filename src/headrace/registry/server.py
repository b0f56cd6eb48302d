"""MLflow's server behind `headrace.core.guard`: `mlflow server --app-name headrace`, an entry point of MLflow's.

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
