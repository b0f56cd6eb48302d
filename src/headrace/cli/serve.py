"""`headrace serve`: the prediction API for a model folder of `headrace automl`, or for a registered one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.parameters import HomeOption

if TYPE_CHECKING:
    from headrace.core.settings import Settings


def serve(
    model: Annotated[str, typer.Argument(help="model folder of `headrace automl`, or models:/NAME/VERSION of MLflow")],
    port: Annotated[int | None, typer.Option(help="port (default: HEADRACE_API_PORT, 8080)")] = None,
    home: HomeOption = None,
) -> None:
    """Serve predictions of a table's model over HTTP until stopped: POST /predict with the table's columns."""
    from headrace.app.addresses import tracking_uri
    from headrace.app.context import settings_of
    from headrace.core.home import open_home
    from headrace.registry.table_models import fetch

    configuration = settings_of(home)
    open_home(configuration.root)
    folder = Path(model)
    if model.startswith("models:/"):
        folder = fetch(model, tracking_uri(configuration), configuration.root)
    elif (folder / "model" / "manifest.json").exists():  # the folder that the command wrote
        folder = folder / "model"
    _serve(folder, configuration, configuration.api_port if port is None else port)


def _serve(folder: Path, configuration: Settings, port: int) -> None:
    import uvicorn

    from headrace.api.__main__ import SHUTDOWN_S, require_free
    from headrace.api.access.control import access_control
    from headrace.api.connections import LimitedProtocol
    from headrace.api.table_app import create_table_app
    from headrace.core.hosts import allowed_hosts

    host = configuration.host
    require_free(host, port)
    hosts, access = allowed_hosts(host), access_control(configuration, host)
    app = create_table_app(folder, configuration.root, hosts=hosts, access=access)
    uvicorn.run(app, host=host, port=port, http=LimitedProtocol, ws="none", server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_S)  # fmt: skip
