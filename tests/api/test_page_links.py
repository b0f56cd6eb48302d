"""Links of the page: as the reader's browser reaches the services, without credentials, and to MLflow's runs."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.api.app import build_app
from headrace.api.page.links import Links, mlflow_runs, mlflow_version
from headrace.api.page.routes import page_router
from headrace.core.settings import Settings
from tests.api.paged import WALL, paged_service
from tests.api.served import TestClient
from tests.serving_fixtures import PROBLEM


def test_ours_are_the_ones_that_up_starts() -> None:
    found = Links.from_settings(Settings(MLFLOW_TRACKING_URI=None, PREFECT_API_URL=None, prefect_port=1))  # type: ignore[call-arg]
    assert found == Links(
        prefect="http://127.0.0.1:1",
        mlflow="http://127.0.0.1:5000",
        evidently="http://127.0.0.1:8000",
        feast="http://127.0.0.1:8888",
    )


def test_the_users_servers_are_linked_and_a_store_has_no_pages() -> None:
    theirs = Settings(MLFLOW_TRACKING_URI="sqlite:///x.db", PREFECT_API_URL="https://prefect.example/api/")  # type: ignore[call-arg]
    found = Links.from_settings(theirs)
    assert (found.prefect, found.mlflow) == ("https://prefect.example", "")


def test_a_reader_elsewhere_gets_this_machines_name_and_no_password() -> None:
    links = Links(prefect="http://127.0.0.1:4200", mlflow="https://me:hunter22@ml.example/x", feast="http://[::1]:8888")
    seen = links.seen_by("lab.example")
    assert seen.prefect == "http://lab.example:4200"
    assert seen.feast == "http://lab.example:8888"
    assert "hunter22" not in seen.mlflow
    assert seen.mlflow.endswith("@ml.example/x")
    assert seen.evidently == ""


def test_a_service_that_is_not_up_has_no_link() -> None:
    assert Links(feast="http://127.0.0.1:1", mlflow="nonsense").up() == Links()


@pytest.fixture
def mlflow() -> Iterator[str]:
    """A server that knows the experiment `shop` alone, by the id 7."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.endswith("experiment_name=shop")
            body = json.dumps({"experiment": {"experiment_id": "7"}} if known else {}).encode()
            self.send_response(200 if known else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to standard error for a request."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_mlflow_is_opened_at_the_runs(mlflow: str) -> None:
    assert mlflow_runs(mlflow, "shop") == f"{mlflow}/#/experiments/7/runs?workflowType=machine_learning"
    assert mlflow_runs(mlflow, "other") == f"{mlflow}/#/experiments?workflowType=machine_learning"
    assert mlflow_runs("http://127.0.0.1:1", "shop").endswith("/#/experiments?workflowType=machine_learning")
    assert mlflow_version("http://m", "a b/c", "2").startswith("http://m/#/models/a%20b%2Fc/versions/2?")


def test_the_page_of_a_number_names_its_own_metric(tmp_path: Path) -> None:
    service = paged_service(tmp_path)
    service.ledger.record_metrics("1", {"gate_rmse": 3.25})
    number = replace(service, problem=replace(PROBLEM, label="refunded", metric="rmse"))
    app = build_app(number)
    app.include_router(page_router(number, tmp_path, Links(), lambda: WALL))
    with TestClient(app, base_url="http://localhost") as client:
        body = client.get("/").text
    assert "Root mean squared error" in body
    assert "3.25" in body
    assert "Quality: root mean squared error" in body
