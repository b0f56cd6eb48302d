"""`python -m headrace.monitor.report.server`: Evidently's pages behind `headrace.core.guard`.

`evidently ui` serves the same application without checks of the Host header and the origin of requests. Headrace writes
the workspace as files, so no client writes through the pages: the secret that Evidently requires of writers is random,
unless EVIDENTLY_SECRET is set. While it starts, it renders the references of champions that the workspace lacks.
"""

from __future__ import annotations

import argparse
import os
import secrets
import threading
from collections.abc import Sequence

import uvicorn
from evidently.ui.service.app import create_app, get_config
from evidently.ui.service.storage.common import EVIDENTLY_SECRET_ENV

from headrace.core.guard import guarded
from headrace.core.settings import settings
from headrace.monitor.report.paths import workspace_folder
from headrace.monitor.report.reference import ensure_references


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve Evidently's pages until stopped."""
    configuration = settings()
    parser = argparse.ArgumentParser(prog="python -m headrace.monitor.report.server", description=main.__doc__)
    parser.add_argument("--host", default=configuration.host, help="HEADRACE_HOST")
    parser.add_argument("--port", type=int, default=configuration.evidently_port, help="HEADRACE_EVIDENTLY_PORT")
    options = parser.parse_args(arguments)
    os.environ.setdefault(EVIDENTLY_SECRET_ENV, secrets.token_urlsafe())
    tracking_uri = configuration.mlflow_tracking_uri or configuration.mlflow_store
    threading.Thread(target=ensure_references, args=(configuration.root, tracking_uri), daemon=True).start()
    config = get_config(host=options.host, port=options.port, workspace=str(workspace_folder(configuration.root)))
    uvicorn.run(guarded(create_app(config), configuration.hosts), host=options.host, port=options.port)


if __name__ == "__main__":
    main()
