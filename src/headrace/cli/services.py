"""`headrace up` and `headrace down`: start the services of a local installation, and stop them again."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.app.addresses import page_of
from headrace.app.context import settings_of
from headrace.app.output import print_json
from headrace.core.home import open_home
from headrace.core.redact import redact
from headrace.core.sqlite_files import require_sound
from headrace.registry.relocation import relocate
from headrace.services.lifecycle import Address, start_services, stop_services
from headrace.services.local import local_services

#: Databases of servers, below the home, and what to do about one that is damaged: they would only end with a traceback.
_DATABASES = {
    "mlflow/mlflow.db": "bring it back from a backup, or move it away: the next run registers anew what it needs",
    "prefect/prefect.db": "bring it back from a backup, or move it away: `headrace up` deploys again, without history",
}


def up(problem: str = "flights", home: Path | None = None, *, as_json: bool = False) -> None:
    """Start the services that are not running, wait until each responds, and print their addresses."""
    configuration = settings_of(home)
    open_home(configuration.root)
    for folder in (
        configuration.root / "mlflow" / "artifacts",
        configuration.root / "prefect",
        configuration.root / "evidently",
    ):
        folder.mkdir(parents=True, exist_ok=True)
    for path, fix in _DATABASES.items():
        require_sound(configuration.root / path, fix)
    relocate(configuration.root / "mlflow" / "mlflow.db")  # before the server reads it
    console = Console(stderr=as_json)
    with console.status("starting services"):
        started = start_services(configuration.root, local_services(configuration, problem), host=configuration.host)
    external_urls = {"Prefect": configuration.prefect_api_url, "MLflow": configuration.mlflow_tracking_uri}
    external = [
        Address(name=name, url=redact(url), state="yours, not started here")
        for name, url in external_urls.items()
        if url
    ]
    if as_json:
        print_json([*external, *started])
        return
    console.print(_table([*external, *started]))
    if all(address.state != "started" for address in started):
        console.print("Everything was up already. `headrace down` stops it.")


def down(home: Path | None = None, *, as_json: bool = False) -> None:
    """Stop the services that `up` started."""
    stopped = stop_services(settings_of(home).root)
    if as_json:
        print_json({"stopped": stopped})
        return
    Console().print(f"stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")


def _table(addresses: list[Address]) -> Table:
    table = Table("service", "address", "state")
    for address in addresses:
        table.add_row(address.name, page_of(address.name, address.url or "") or "-", address.state)
    return table
