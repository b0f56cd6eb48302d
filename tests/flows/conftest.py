"""One set of real servers for all tests here, on free ports and a home folder of its own; a home for one test."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

# Prefect reads this when it is imported: the tests leave the home of whoever runs them alone.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="headrace-tests-")

from headrace.core.settings import QUIET, Settings, settings
from headrace.services.lifecycle import start_services, stop_services
from headrace.services.local import local_services

os.environ.update(QUIET)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a home whose services are all up, as `make up` starts them."""
    prefect, mlflow, api = _free_ports(3)
    home = tmp_path_factory.mktemp("home")
    chosen = Settings(
        home=home,
        prefect_port=prefect,
        mlflow_port=mlflow,
        api_port=api,
        MLFLOW_TRACKING_URI=None,  # type: ignore[call-arg]
        PREFECT_API_URL=None,  # type: ignore[call-arg]
    )
    for folder in (home / "mlflow" / "artifacts", home / "prefect"):
        folder.mkdir(parents=True)
    quick = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    # The pages of Evidently and Feast take no part in flows, and are tested by themselves (tests/monitor).
    wanted = [one for one in local_services(chosen) if one.name not in ("Evidently", "Feast")]
    services = [replace(one, env={**one.env, **quick}) for one in wanted]
    try:
        start_services(home, services)
        yield chosen
    finally:
        stop_services(home)


@pytest.fixture
def prefect_server(local: Settings) -> Iterator[Settings]:
    """The same, with Prefect's client in this process pointed at that server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{local.prefect_port}/api"}):
        yield local


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of this process while the test runs, empty: settings that were read before do not count."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    monkeypatch.undo()
    settings.cache_clear()
