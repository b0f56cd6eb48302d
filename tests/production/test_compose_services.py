"""The services of infra/docker/compose.yaml, run without containers: PostgreSQL below MLflow and Prefect, and kills.

The commands, the variables and the databases are read from compose.yaml; only addresses and folders are replaced.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from headrace.core.settings import QUIET
from headrace.services.processes import wait_until
from tests.problems.postgres import postgres
from tests.tiny_problem import write_tiny_problem

pytestmark = [pytest.mark.production, pytest.mark.server, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "docker" / "compose.yaml").read_text())
DATABASES = (ROOT / "infra" / "docker" / "databases.sql").read_text()
_PROBES = {"prefect": "/api/health", "mlflow": "/health", "api": "/healthz"}
INI = (ROOT / "infra" / "docker" / "mlflow-auth.ini").read_text()
#: Secret -> its content, which no log and no file but its own may hold.
SECRETS = {
    "mlflow_password": "planted-mlflow-password",
    "mlflow_secret_key": "planted-mlflow-secret-key",
    "prefect_auth": "headrace:planted-prefect-password",
}
_CONTAINER_PORTS = {"prefect": 4200, "mlflow": 5000, "api": 8080}


@dataclass(kw_only=True)
class Production:
    """What compose.yaml describes, as processes of this machine.

    Attributes:
        folder: State, artifacts and the problem.
        database: host:port of PostgreSQL.
        ports: Service -> its port here.
        processes: Service -> its process.
    """

    folder: Path
    database: str
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Replace addresses and folders of the containers by those of this machine."""
        text = text.replace("postgres:5432", self.database).replace("0.0.0.0", "127.0.0.1")
        for name, port in _CONTAINER_PORTS.items():
            text = text.replace(f"{name}:{port}", f"127.0.0.1:{self.ports[name]}")
        for path in ("/state", "/artifacts", "/problem", "/run/secrets", "/etc/headrace"):
            if text.startswith(path):
                text = f"{self.folder}{text}"
        return text.replace("=/artifacts", f"={self.folder}/artifacts")

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables of a service, beside what the system needs."""
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("PREFECT", "MLFLOW", "HEADRACE", "PG"))}  # fmt: skip
        environment = COMPOSE["services"][name]["environment"]
        declared = {key: self.here(value) for key, value in environment.items() if value is not None}
        declared.pop("PGPASSFILE", None)
        return {**kept, **QUIET, **declared, "HEADRACE_API_PORT": str(self.ports["api"])}

    def start(self, name: str) -> None:
        """Start a server and wait until it answers."""
        port = str(_CONTAINER_PORTS.get(name, ""))
        command = [self.here(part) for part in COMPOSE["services"][name]["command"]]
        command = [part.replace(port, str(self.ports[name])) if port and part.endswith(port) else part
                   for part in command]  # fmt: skip
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", *command], env=self.environment(name), cwd=self.folder, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        up = wait_until(lambda: self.answers(name), timeout_s=500)
        assert up, (self.folder / f"{name}.log").read_text()[-3000:]

    def answers(self, name: str) -> bool:
        assert self.processes[name].poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
        try:
            with httpx.Client(trust_env=False) as client:
                return client.get(f"http://127.0.0.1:{self.ports[name]}{_PROBES[name]}").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a service with all its children."""
        process = self.processes.pop(name)
        os.killpg(process.pid, how)
        process.wait(60)

    def headrace(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command with the variables of the deployment."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *arguments], env=self.environment("deploy"), cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, name: str, path: str, method: str = "GET", **options: Any) -> int:
        """Return the status of a request to a service."""
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.request(method, f"http://127.0.0.1:{self.ports[name]}{path}", **options).status_code

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(f"postgresql://headrace@{self.database}/{database}") as connection:
            return connection.execute(query.encode()).fetchall()


@contextmanager
def _started(folder: Path) -> Iterator[Production]:
    import psycopg

    with ExitStack() as stack:
        database = stack.enter_context(postgres())
        with psycopg.connect(f"postgresql://headrace@{database}/postgres", autocommit=True) as connection:
            for statement in filter(None, (part.strip() for part in DATABASES.split(";"))):
                connection.execute(statement.encode())
        production = Production(folder=folder, database=database, ports=dict(zip(_PROBES, _free_ports(3), strict=True)))
        stack.callback(lambda: [production.kill(name, signal.SIGTERM) for name in list(production.processes)])
        for name in ("state", "artifacts", "run/secrets", "etc/headrace"):
            (folder / name).mkdir(parents=True)
        for name, content in SECRETS.items():
            (folder / "run" / "secrets" / name).write_text(f"{content}\n")
        (folder / "etc" / "headrace" / "mlflow-auth.ini").write_text(production.here(INI))
        for name in ("prefect", "mlflow"):
            production.start(name)
        yield production


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _finish(started: subprocess.Popen[str]) -> tuple[int, str]:
    output, errors = started.communicate(timeout=600)
    return started.returncode, output + errors


def _stage_done(production: Production, stage: str) -> Callable[[], bool]:
    folder = production.folder / "state" / "stages" / "shop" / stage
    return lambda: folder.exists() and any(folder.iterdir())


def test_the_loop_on_postgresql_survives_kills_of_its_servers(tmp_path: Path) -> None:
    write_tiny_problem(tmp_path / "problem", orders=900)
    with _started(tmp_path) as production:
        # MLflow dies while the first run searches; what fails says so, and the next run finishes the work.
        first = production.headrace("headrace.flows", "run", f"{tmp_path}/problem/problem.py")
        assert wait_until(_stage_done(production, "training-set"), timeout_s=600), _finish(first)
        production.kill("mlflow")
        code, told = _finish(first)
        production.start("mlflow")
        assert code == 0 or "mlflow" in told.lower(), told
        code, told = _finish(production.headrace("headrace.flows", "run", f"{tmp_path}/problem/problem.py"))
        assert code == 0, told
        assert "version 1 is champion" in told
        # All of it is in PostgreSQL, and artifacts went through the server.
        assert production.rows("mlflow", "SELECT name, version FROM model_versions") == [("shop", 1)]
        assert ("Completed",) in production.rows("prefect", "SELECT DISTINCT state_name FROM flow_run")
        assert any((tmp_path / "artifacts").rglob("MLmodel"))
        assert not (tmp_path / "state" / "mlflow" / "mlflow.db").exists()
        # Both servers die; the API answers from what it holds, and new servers know what the old ones knew.
        code, told = _finish(production.headrace("headrace.flows", "deploy", f"{tmp_path}/problem/problem.py"))
        assert code == 0, told
        production.start("api")
        for name in ("prefect", "mlflow"):
            production.kill(name)
        assert production.answers("api")
        for name in ("prefect", "mlflow"):
            production.start(name)
        deployed = production.rows("prefect", "SELECT name FROM deployment")
        assert ("shop-pipeline",) in deployed
        code, told = _finish(production.headrace("headrace.cli", "status", f"{tmp_path}/problem/problem.py"))
        assert code == 0, told
        assert "version 1" in told
        _no_secret_is_written(production)


def test_servers_answer_nobody_without_credentials(tmp_path: Path) -> None:
    write_tiny_problem(tmp_path / "problem", orders=900)
    with _started(tmp_path) as production:
        # Prefect's client, with the credentials of the deployment, registers schedules.
        code, told = _finish(production.headrace("headrace.flows", "deploy", f"{tmp_path}/problem/problem.py"))
        assert code == 0, told
        assert ("shop-pipeline",) in production.rows("prefect", "SELECT name FROM deployment")
        production.start("api")
        _without_credentials_nothing_is_answered(production)
        _no_secret_is_written(production)


def _without_credentials_nothing_is_answered(production: Production) -> None:
    user, password = SECRETS["prefect_auth"].split(":")
    mlflow = ("headrace", SECRETS["mlflow_password"])
    search = {"path": "/api/2.0/mlflow/experiments/search", "params": {"max_results": 1}}
    for wrong in (None, (user, "wrong"), ("admin", "password1234"), (user, "")):
        assert production.ask("prefect", "/api/flows/filter", "POST", json={}, auth=wrong) in (
            401,
            403,
        )  # no CSRF token
        assert production.ask("prefect", "/api/csrf-token?client=a", auth=wrong) == 401
        assert production.ask("mlflow", **search, auth=wrong) == 401
        assert production.ask("mlflow", "/api/2.0/mlflow-artifacts/artifacts?path=", auth=wrong) == 401
        assert production.ask("api", "/predict", "POST", json={}, auth=wrong) == 401
        assert production.ask("api", "/model", auth=wrong) == 401
    assert production.ask("prefect", "/api/csrf-token?client=a", auth=(user, password)) == 200
    assert production.ask("mlflow", **search, auth=mlflow) == 200
    made, told = _finish(production.headrace("headrace.cli", "keys", "create", "test", "--scopes", "read,predict"))
    assert made == 0, told
    key = {"authorization": f"Bearer {told.split()[0]}"}
    assert wait_until(lambda: production.ask("api", "/model", headers=key) in (200, 503), timeout_s=10)
    assert production.ask("api", "/metrics", headers=key) == 403
    made, told = _finish(production.headrace("headrace.cli", "keys", "revoke", "test"))
    assert made == 0, told
    assert wait_until(lambda: production.ask("api", "/model", headers=key) == 401, timeout_s=2)
    made, told = _finish(production.headrace("headrace.cli", "audit-log", "verify"))
    assert made == 0, told


def _no_secret_is_written(production: Production) -> None:
    """Logs, reports, state and artifacts: no file holds a secret but its own."""
    own = production.folder / "run" / "secrets"
    read = 0
    for path in production.folder.rglob("*"):
        if path.is_file() and own not in path.parents:
            content, read = path.read_bytes(), read + 1
            assert b"planted-" not in content, path
    assert read > 10
