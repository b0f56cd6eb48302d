"""`headrace serve`: the prediction API for a model folder of `headrace automl`, or for a registered one."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.parameters import HomeOption


def serve(
    model: Annotated[str, typer.Argument(help="model folder of `headrace automl`, or models:/NAME/VERSION of MLflow")],
    port: Annotated[int | None, typer.Option(help="port (default: HEADRACE_API_PORT, 8080)")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="processes that answer on the port (default: HEADRACE_API_PROCESSES, 1)")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Serve predictions of a table's model over HTTP until stopped: POST /predict with the table's columns."""
    from headrace.api.__main__ import require_free
    from headrace.api.processes import serve_until_stopped, shared_metrics
    from headrace.api.table_app import ServedTable
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
    port = configuration.api_port if port is None else port
    require_free(configuration.host, port)
    processes = configuration.api_processes if processes is None else processes
    with shared_metrics(configuration.root, port) if processes > 1 else nullcontext():
        was_ready = serve_until_stopped(
            ServedTable(folder=folder, root=configuration.root, host=configuration.host),
            host=configuration.host,
            port=port,
            processes=processes,
            access_lines=True,
        )
    if not was_ready:
        raise typer.Exit(1)
