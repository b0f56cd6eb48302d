"""The page in a headless Chromium, over the tiny problem and a server that answers as Prefect does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from headrace.api.app import build_app
from headrace.api.page.links import Links
from headrace.api.page.routes import page_router
from headrace.monitor.outbox.outbox import Outbox
from headrace.serving.reports import report_file
from tests.api.paged import WALL, FakePrefect, fake_prefect, paged_service
from tests.security.browser import start_browser
from tests.serving_fixtures import ROW

DEPLOYMENT = {"id": "d1", "name": "shop-pipeline", "description": "The main job.", "schedules": []}
RUN = {
    "id": "r1", "name": "pipeline shop", "state_name": "Completed", "state_type": "COMPLETED",
    "start_time": "2024-03-01T11:00:00+00:00", "total_run_time": 12.5,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shown:
    """address: of the page. outbox: what it acknowledges. prefect: what it starts runs on. root: the home folder."""

    address: str
    outbox: Outbox
    prefect: FakePrefect
    root: Path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Selenium's driver of a headless Chromium; skips where there is none."""
    started = start_browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    """The page, served on a free port."""
    with fake_prefect(FakePrefect(deployments=[DEPLOYMENT], runs=[RUN])) as prefect:
        service = paged_service(tmp_path)
        file = report_file(tmp_path, "shop", "1")
        file.parent.mkdir(parents=True)
        app = build_app(service, example=lambda: dict(ROW), hosts=("127.0.0.1",))
        app.include_router(page_router(service, tmp_path, Links(prefect=prefect.address), lambda: WALL))
        with served(app) as address:
            yield Shown(address=address, outbox=Outbox(tmp_path, "shop"), prefect=prefect, root=tmp_path)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free port while the block runs; its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        listening.listen(64)  # requests wait in the socket until the server takes them
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
