"""Credentials of the Prefect and MLflow servers for our own HTTP requests; their clients read the same variables."""

from __future__ import annotations

import httpx
from pydantic import SecretStr

from headrace.core.settings import settings


def prefect_auth() -> httpx.Auth | None:
    """Return the credentials of PREFECT_API_AUTH_STRING (user:password); None where it is not set."""
    text = _text(settings().prefect_api_auth)
    user, _, password = text.partition(":")
    return httpx.BasicAuth(user, password) if text else None


def mlflow_auth() -> httpx.Auth | None:
    """Return the credentials of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; None where they are not set."""
    chosen = settings()
    password = _text(chosen.mlflow_password)
    return httpx.BasicAuth(chosen.mlflow_username, password) if chosen.mlflow_username and password else None


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
