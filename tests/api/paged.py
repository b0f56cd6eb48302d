"""The page over the tiny problem, and a server that answers as Prefect does, for tests."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headrace.api.app import build_app
from headrace.api.page.links import Links
from headrace.api.page.routes import page_router
from headrace.core.clock import DAY
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Decision
from headrace.monitor.policy.finding import Finding
from headrace.serving.service import Service
from tests.api.served import TestClient, serving
from tests.serving_fixtures import NOW, ROW, write_store

WALL = NOW + DAY
HOSTILE = '<script>alert("x")</script>'


@dataclass(kw_only=True)
class FakePrefect:
    """What it has, and what was asked of it. address: without `/api`."""

    address: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, path: str, body: Any) -> Any:
        self.asked.append((path, body))
        if path.endswith("/create_flow_run"):
            return {"id": "run-1"}
        if path == "/api/deployments/filter":
            names = body["deployments"].get("name", {}).get("any_")
            return [one for one in self.deployments if names is None or one["name"] in names]
        return {"/api/flow_runs/filter": self.runs, "/api/artifacts/latest/filter": self.artifacts}[path]


@contextmanager
def fake_prefect(prefect: FakePrefect) -> Iterator[FakePrefect]:
    """A server that answers with what `prefect` has while the block runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"token": "t"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert self.headers["prefect-csrf-token"] == "t"
            self._send(prefect.answer(self.path, body))

        def _send(self, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing to standard error for a request."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            prefect.address = f"http://127.0.0.1:{server.server_address[1]}"
            yield prefect
        finally:
            server.shutdown()
            thread.join()


def decisions(outbox: Outbox) -> list[Decision]:
    """Put three weeks of decisions into an outbox; the last one asks for a retrain, with a hostile reason."""
    made = []
    for week, (kind, drop) in enumerate((("nothing", 0.01), ("alert", 0.05), ("retrain", 0.2))):
        end = NOW - (2 - week) * 7 * DAY
        one = Decision(
            id=f"{week}" * 16,
            problem="shop",
            kind=kind,  # type: ignore[arg-type]
            reason=f"auc is worse by {drop} {HOSTILE if week == 2 else ''}",
            start_us=end - 7 * DAY,
            end_us=end,
            champion="1",
            judged=10,
            drifted=(Finding(name="amount"),) * week,
            costs={"auc": drop},
        )
        outbox.add(one, now_us=NOW)
        made.append(one)
    return made


def paged_service(root: Path) -> Service:
    """Serving of the tiny problem with a champion, a challenger and decisions."""
    write_store(root)
    service = serving(root)
    service.ledger.promote("1", None, "beats the baseline", {"gate_auc": 0.78, "2024-02_auc": 0.75}, NOW)
    service.ledger.record_metrics("2", {"gate_auc": 0.79})
    service.ledger.set_challenger("2")
    service.follower.refresh()
    decisions(Outbox(root, "shop"))
    return service


@contextmanager
def paged(root: Path, links: Links | None = None, form_key: bytes | None = None) -> Iterator[TestClient]:
    """A client of the page, which keeps cookies as a browser does."""
    service = paged_service(root)
    app = build_app(service, example=lambda: dict(ROW))
    app.include_router(page_router(service, root, links or Links(), lambda: WALL, form_key=form_key))
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        yield client


@pytest.fixture
def page(tmp_path: Path) -> Iterator[TestClient]:
    """The page where no other service is up."""
    with paged(tmp_path) as client:
        yield client


def token_of(body: str) -> str:
    """The token of the page's forms."""
    found = re.search(r'name="token" value="([0-9a-f]+)"', body)
    assert found is not None
    return found.group(1)
