"""Paths that lead out of what a service shows, to files of the home folder and of the system.

The paths are sent as they stand here; an HTTP client would clean them up.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.security.target import Target
from tests.security.wire import exchange, get

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

UP = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..%5c", "....//", "..%c0%af")
#: Where each service serves files from, as far as we know.
ROOTS = {
    "api": ("/", "/docs/", "/model/"),
    "prefect": ("/", "/assets/", "/api/ui-settings/", "/docs/"),
    "mlflow": ("/", "/static-files/", "/get-artifact?path=", "/api/2.0/mlflow-artifacts/artifacts/"),
    "evidently": ("/", "/static/", "/api/projects/"),
}
MARK = b"headrace-canary-73e1"


@pytest.mark.parametrize("service", ROOTS)
@pytest.mark.attack("paths with .. in eight spellings, to /etc/passwd and into the home folder", target="{service}")
def test_no_path_leads_out(target: Target, service: str, record_property: Any) -> None:
    secret = target.home / "canary.txt"
    secret.write_bytes(MARK)
    try:
        wanted = ("etc/passwd", str(secret).lstrip("/"))
        paths = [f"{root}{up * 12}{file}" for root, up, file in itertools.product(ROOTS[service], UP, wanted)]
        paths += [
            f"{root}{file}" for root, file in itertools.product(ROOTS[service], ("//etc/passwd", "file:///etc/passwd"))
        ]
        answers = {path: exchange(target.ports[service], get(path, target.ports[service])) for path in paths}
    finally:
        secret.unlink()
    record_property("observed", f"{len(paths)} paths")
    assert not [path for path, answer in answers.items() if b"root:" in answer or MARK in answer]
