"""Where the servers of an installation answer: the user's own, else those that `headrace up` started."""

from __future__ import annotations

from headrace.core.redact import redact
from headrace.core.settings import Settings
from headrace.services.lifecycle import running_services


def prefect_api(settings: Settings) -> str | None:
    """The Prefect API that runs should report to: the user's, else ours where it answers."""
    if settings.prefect_api_url:
        return settings.prefect_api_url.rstrip("/")
    ours = running_services(settings.root).get("Prefect")
    return f"{ours}/api" if ours else None


def tracking_uri(settings: Settings) -> str:
    """The MLflow tracking URI: the user's, else our server where it answers, else the embedded store."""
    return settings.mlflow_tracking_uri or running_services(settings.root).get("MLflow") or settings.mlflow_store


def addresses(settings: Settings) -> dict[str, str]:
    """What can be opened in a browser now: name -> address. Not to be called: credentials are masked."""
    named = {"MLflow": settings.mlflow_tracking_uri, "Prefect": settings.prefect_api_url}
    theirs = {name: redact(url.removesuffix("/api")) for name, url in named.items() if url and url.startswith("http")}
    return {**running_services(settings.root), **theirs}


def page_of(name: str, url: str) -> str:
    """Return the page of a service that people open first: MLflow's experiments rather than its page for prompts."""
    return f"{url.rstrip('/')}/#/experiments?workflowType=machine_learning" if name == "MLflow" and url else url
