"""The files of infra/: what Compose, Docker and systemd are told exists, is pinned, and runs without root."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.core.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "docker" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKER = ROOT / "infra" / "docker"
DOCKERFILE = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
UNITS = sorted((ROOT / "infra" / "systemd").glob("*.service"))
_ENVIRONMENT = (ROOT / "infra" / "systemd" / "environment").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_root_no_capability_and_nothing_to_write_but_its_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] not in ("root", "0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_version_and_ports_are_of_this_machine_alone(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.search(r":(\$\{[A-Z_]+:-)?v?\d", image), image
    assert image.startswith("headrace:") or re.search(r"@sha256:[0-9a-f]{64}$", image), image
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_what_a_service_waits_for_says_when_it_is_ready() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_completed_successfully" or "healthcheck" in SERVICES[other]


def test_volumes_and_secrets_are_declared() -> None:
    for service in SERVICES.values():
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        names = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert all(name in COMPOSE["volumes"] or name.startswith((".", "$")) for name in names)


def test_every_service_is_of_the_production_profile_and_has_its_secrets() -> None:
    for name, service in SERVICES.items():
        if service["image"].startswith("headrace:"):
            variables = COMPOSE["x-headrace"]["environment"] | service.get("environment", {})
            assert variables["HEADRACE_PROFILE"] == "production"
            files = {value.removeprefix("/run/secrets/") for key, value in variables.items() if key.endswith("_FILE")}
            assert files <= set(service.get("secrets", COMPOSE["x-headrace"]["secrets"])), name
            assert variables["HEADRACE_DATABASE_URL"].endswith("@postgres:5432/headrace")
            assert "HEADRACE_REDIS_URL_FILE" in variables
            assert variables["PGPASSFILE"] == "/run/secrets/pgpass"
    assert {"HEADRACE_PROFILE=production", "PGPASSFILE=/etc/headrace/pgpass"} <= set(_ENVIRONMENT.splitlines())
    assert re.search(r"^HEADRACE_DATABASE_URL=postgresql://\S+/headrace$", _ENVIRONMENT, re.MULTILINE)
    for unit in UNITS:
        text = unit.read_text()
        used = set(re.findall(r"_FILE=%d/(\w+)", text))
        assert used == set(re.findall(r"LoadCredential=(\w+):/etc/headrace/secrets/", text))
        assert "headrace.access.launch" in text or "headrace.api" in text


def test_every_database_that_is_named_is_made() -> None:
    made = set(re.findall(r"^CREATE DATABASE (\w+);$", (DOCKER / "databases.sql").read_text(), re.MULTILINE))
    texts = [path.read_text() for path in (*DOCKER.glob("compose*.yaml"), DOCKER / "mlflow-auth.ini")]
    named = {name for text in texts for name in re.findall(r"@postgres:5432/(\w+)", text)}
    assert named == made


def test_artifacts_in_a_bucket_change_nothing_but_the_server_of_mlflow() -> None:
    beside = yaml.safe_load((DOCKER / "compose.s3.yaml").read_text())
    assert set(beside["services"]) == {"mlflow"}
    service = beside["services"]["mlflow"]
    assert set(service) == {"environment", "secrets"}
    assert "MLFLOW_ARTIFACTS_DESTINATION" in set(service["environment"]) & set(SERVICES["mlflow"]["environment"])
    files = {value for key, value in service["environment"].items() if key.endswith("_FILE")}
    assert files == {f"/run/secrets/{name}" for name in service["secrets"]}
    assert set(service["secrets"]) == set(beside["secrets"])


def test_a_lake_in_a_bucket_is_known_to_what_reads_the_lake() -> None:
    beside = yaml.safe_load((DOCKER / "compose.lake.yaml").read_text())
    assert set(beside["services"]) == {"deploy", "worker", "api"}
    for service in beside["services"].values():
        assert set(service) == {"environment", "secrets"}
        assert service["environment"]["HEADRACE_LAKE"].startswith("s3://")
        files = {value for key, value in service["environment"].items() if key.endswith("_FILE")}
        assert files == {f"/run/secrets/{name}" for name in service["secrets"]}
        assert set(service["secrets"]) == set(beside["secrets"])


def test_no_password_is_in_a_file() -> None:
    for text in (DOCKERFILE, _ENVIRONMENT, (ROOT / "infra" / "docker" / "compose.yaml").read_text()):
        assert not re.search(r"://[^/\s@:]+:[^/\s@]+@", text)


CHART = sorted((ROOT / "infra" / "helm" / "headrace" / "templates").iterdir())


@pytest.mark.parametrize("names", [
    {name for service in SERVICES.values() for name in service.get("environment", {})},
    {name for path in CHART for name in re.findall(r"name: (HEADRACE_\w+)", path.read_text())},
    {line.split("=")[0] for line in _ENVIRONMENT.splitlines() if line and not line.startswith("#")},
])  # fmt: skip
def test_variables_of_headrace_are_settings(names: set[str]) -> None:
    known = {f"HEADRACE_{field.upper()}" for field in Settings.model_fields} | {"HEADRACE_PROBLEM"}
    assert {name.removesuffix("_FILE") for name in names if name.startswith("HEADRACE_")} <= known


def modules() -> list[tuple[str, ...]]:
    """The module of each command, with its subcommand, of Compose and of systemd."""
    own = [service for service in SERVICES.values() if service["image"].startswith("headrace:")]
    commands = [tuple(service["command"]) for service in own if "command" in service]
    texts = [" ".join(command) for command in commands] + [unit.read_text() for unit in UNITS]
    run = [match.split() for text in texts for match in re.findall(r"python -P -m ([^&\n]+)", text)]
    plain = [command for command in commands if not command[0].startswith("python")]
    launched = [command[command[0] == "headrace.access.launch" :] for command in (*run, *plain)]
    return sorted({tuple(command[:2]) if command[0] in ("mlflow", "prefect") else (command[0],)
                   for command in launched})  # fmt: skip


@pytest.mark.parametrize("module", modules())
def test_a_command_is_a_module(module: tuple[str, ...]) -> None:
    """That each can be run is tested by test_infra_commands: Prefect and MLflow take ten seconds to tell their help."""
    assert importlib.util.find_spec(module[0]) is not None


def test_the_image_copies_what_is_there_and_checks_hashes() -> None:
    lines = [line.split() for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line]
    copied = {path for line in lines for path in line[1:-1]}
    sent = (ROOT / "infra" / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert all((ROOT / path).exists() for path in copied)
    assert copied <= {line[1:] for line in sent if line.startswith("!")}
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^ARG PYTHON_IMAGE=\S+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "10001:10001"


def test_the_lock_of_the_image_has_what_the_databases_need() -> None:
    lock = (ROOT / "requirements" / "production.lock").read_text()
    needed = ("psycopg", "asyncpg", "redis", "boto3", "mlflow")
    assert all(re.search(rf"^{name}==", lock, re.MULTILINE) for name in needed)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_accepted_by_systemd(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on PATH")
    for one in UNITS:  # the interpreter of the unit is not on this machine
        text = re.sub(r"/opt/headrace/bin/python", sys.executable, one.read_text())
        (tmp_path / one.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / unit.name)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr, done.stderr
