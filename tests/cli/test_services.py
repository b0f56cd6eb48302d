"""What services are started with follows from where they listen and what they are called."""

from __future__ import annotations

from pathlib import Path

from mlflow.server.security_utils import is_allowed_host_header, should_block_cors_request

from headrace.core.settings import Settings
from headrace.services.lifecycle import Service
from headrace.services.local import local_services


def started(tmp_path: Path, **fields: object) -> dict[str, Service]:
    chosen = Settings(home=tmp_path, MLFLOW_TRACKING_URI=None, PREFECT_API_URL=None, **fields)  # type: ignore[arg-type]
    return {one.name: one for one in local_services(chosen)}


def option(service: Service, name: str) -> list[str]:
    return service.command[service.command.index(name) + 1].split(",")


def test_prefect_answers_its_own_pages_only(tmp_path: Path) -> None:
    env = started(tmp_path, prefect_port=4321)["Prefect"].env
    origins = set(env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"].split(","))
    assert origins == {"http://localhost:4321", "http://127.0.0.1:4321", "http://[::1]:4321"}
    assert env["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    assert env["PREFECT_SERVER_UI_API_URL"] == "/api"


def test_mlflow_lets_in_its_own_names_only(tmp_path: Path) -> None:
    """Its defaults let in 10.evil.test, which matches the pattern of a private address."""
    hosts = option(started(tmp_path)["MLflow"], "--allowed-hosts")
    for own in ("localhost", "127.0.0.1", "[::1]"):
        assert is_allowed_host_header(hosts, own)
        assert is_allowed_host_header(hosts, f"{own}:5000")
    for foreign in ("evil.test", "10.evil.test:5000", "192.168.evil.test", "localhost.evil.test", "0.0.0.0:5000"):
        assert not is_allowed_host_header(hosts, foreign)


def test_a_host_and_further_names_are_followed(tmp_path: Path) -> None:
    services = started(tmp_path, host="lab.example", allowed_hosts="ml.example, [fd00::7]", mlflow_port=5001)
    hosts, origins = (option(services["MLflow"], name) for name in ("--allowed-hosts", "--cors-allowed-origins"))
    assert all(is_allowed_host_header(hosts, f"{own}:5001") for own in ("lab.example", "ml.example", "[fd00::7]"))
    assert not should_block_cors_request("http://lab.example:5001", "POST", origins)
    assert not should_block_cors_request("https://ml.example", "POST", origins)
    assert should_block_cors_request("http://evil.test", "POST", origins)
    assert not any(mark in one for one in origins for mark in "*[")  # read as patterns, which match by their beginning
    assert services["Prefect"].url == "http://lab.example:4200"
    assert services["API"].env["HEADRACE_ALLOWED_HOSTS"] == "ml.example, [fd00::7]"


def test_a_wildcard_is_nobodys_address(tmp_path: Path) -> None:
    services = started(tmp_path, host="0.0.0.0")
    assert services["Prefect"].url == "http://127.0.0.1:4200"
    assert services["worker"].env["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert option(services["Prefect"], "--host") == ["0.0.0.0"]
