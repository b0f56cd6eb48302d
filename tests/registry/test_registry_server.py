"""MLflow's server as we start it: the application and the entry point are those of MLflow 3.17.2."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

import pytest
from mlflow.server import _find_app

from headrace.registry.server import create_app
from tests import asgi


@pytest.fixture(scope="module")
def app() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, as it is imported
        return create_app()


def test_mlflow_finds_it_by_its_name() -> None:
    assert _find_app("headrace") == "headrace.registry.server:create_app"
    assert version("mlflow") == "3.17.2", "try the attacks of `make security` on the new one, then name it here"


def test_pages_of_other_ports_are_foreign_too(app: Any) -> None:
    """MLflow alone lets them in, and its assistant runs commands."""
    assert asgi.status(app, "/version") == 200
    assert asgi.status(app, "/version", host="10.evil.test") == 400
    path = "/ajax-api/3.0/mlflow/assistant/message"
    sent = {"method": "POST", "body": b"[]", "content_type": "application/json"}
    assert asgi.status(app, path, **sent, origin="http://localhost:4321") == 422  # let in, and not understood
    for origin in ("http://localhost:8000", "http://evil.test"):
        assert asgi.status(app, path, **sent, origin=origin) == 403


def test_mlflow_says_who_frames_its_pages(app: Any) -> None:
    headers, _ = asgi.answer(app, "/version")
    assert headers.get("x-frame-options") == "SAMEORIGIN"
