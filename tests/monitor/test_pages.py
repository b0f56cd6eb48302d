"""Evidently's pages as we start them: the application is that of Evidently 0.7.23."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from headrace.core.settings import settings
from tests import asgi


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application that `python -m headrace.monitor.report.server` hands to uvicorn."""

    given: list[Any] = []
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("EVIDENTLY_SECRET", "of the user")
    monkeypatch.setattr("uvicorn.run", lambda app, **_: given.append(app))
    settings.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Evidently's own
        from headrace.monitor.report.server import main

        main(["--port", "4321"])
    settings.cache_clear()
    return given[0]


def test_the_version_that_this_was_tried_with() -> None:
    assert version("evidently") == "0.7.23", "try the attacks of `make security` on the new one, then name it here"


def test_it_shows_its_pages_and_takes_nothing(app: Any) -> None:
    assert asgi.status(app, "/api/version") == 200
    assert asgi.status(app, "/api/version", host="evil.test") == 400
    new = {"method": "POST", "body": b'{"name": "x"}', "content_type": "application/json"}
    assert asgi.status(app, "/api/projects", **new, origin="http://evil.test", evidently_secret="of the user") == 403
    assert asgi.status(app, "/api/projects", **new) in (401, 403)
    # Past the door, what is no project is refused; a real one would set off Evidently's watch over its files.
    wrong = {**new, "body": b"{"}
    assert asgi.status(app, "/api/projects", **wrong) in (401, 403)
    assert asgi.status(app, "/api/projects", **wrong, evidently_secret="of the user") == 400
