"""Point Prefect's client in this process at a server: the settings that Prefect reads when it is imported."""

from __future__ import annotations

import os

from headrace.core.errors import UnavailableError
from headrace.core.home import open_home
from headrace.core.settings import Settings
from headrace.services.lifecycle import responds


def use_prefect_server(chosen: Settings, api: str | None) -> None:
    """Set the environment for a Prefect server. Call it before Prefect is imported.

    Args:
        chosen: Settings of this installation.
        api: Address of the server's API; None where no server is up.

    Raises:
        UnavailableError: No server is up, or it does not answer.
    """
    if api is None:
        raise UnavailableError("no Prefect server is up", fix="start one with `headrace up`, or set PREFECT_API_URL")
    if not responds(f"{api}/health"):
        raise UnavailableError(
            "the Prefect server does not answer", where=api, fix="start it, or unset PREFECT_API_URL"
        )
    open_home(chosen.root)
    home = chosen.root / "prefect"
    home.mkdir(parents=True, exist_ok=True)  # Prefect makes no parents, and then its server never comes up
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_LOGGING_EXTRA_LOGGERS"] = "headrace"
    # Prefect's own pages keep every line; here a failure is one line, not its engine's tracebacks.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    os.environ["PREFECT_API_URL"] = api
