"""The installation of infra/docker as processes: PostgreSQL, Redis, S3, Prefect, MLflow, a worker, two APIs.

Commands, variables, databases and secrets are those of compose.yaml, compose.s3.yaml and compose.lake.yaml; only
addresses and folders are replaced. Every secret is a planted text, so that a file that holds one can be found.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from headrace.core.settings import QUIET
from tests.production.servers import (
    Server,
    accepts_redis,
    answers_http,
    free_ports,
    postgres,
    redis_executable,
    s3,
)
from tests.tiny_problem import write_tiny_problem

_DOCKER = Path(__file__).parents[2] / "infra" / "docker"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((_DOCKER / "compose.yaml").read_text())["services"]
_S3 = yaml.safe_load((_DOCKER / "compose.s3.yaml").read_text())["services"]["mlflow"]["environment"]
_LAKE = yaml.safe_load((_DOCKER / "compose.lake.yaml").read_text())["services"]
BUCKET, LAKE_BUCKET = "headrace-artifacts", "headrace-lake"
#: Name -> the port of its container. The second API is a second replica of the service `api`.
_PORTS = {"postgres": 5432, "redis": 6379, "s3": 9000, "prefect": 4200, "mlflow": 5000, "api": 8080, "api-2": 8080}
_PROBES = {"prefect": "/api/health", "mlflow": "/health", "api": "/healthz", "api-2": "/healthz"}
#: Part of every secret. Access keys of S3 are no secrets: each request has them in the open.
PLANTED = "planted"
USERS = {"mlflow": ("headrace", "planted-mlflow-password"), "prefect": ("headrace", "planted-prefect-password")}
S3_KEYS = ("AKIAHEADRACE00000000", "planted-s3-secret-key")


@dataclass(kw_only=True)
class Installation:
    """What runs, and what a process of the installation needs to know.

    Attributes:
        folder: State, secrets, logs and the problem.
        ports: Service -> its port here.
        servers: Service -> its process.
    """

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)))
    servers: dict[str, Server] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Path of the problem."""
        return f"{self.folder}/problem/problem.py"

    def start(self) -> None:
        """Write secrets and the problem, start all servers but the worker and the APIs."""
        for name in ("state", "run/secrets", "etc/headrace", "postgres", "redis", "s3"):
            (self.folder / name).mkdir(parents=True)
        secrets = self.folder / "run" / "secrets"
        for name, content in _secrets(self.ports).items():
            (secrets / name).write_text(f"{content}\n")
            (secrets / name).chmod(0o600)
        ini = (_DOCKER / "mlflow-auth.ini").read_text()
        (self.folder / "etc" / "headrace" / "mlflow-auth.ini").write_text(self.here(ini))
        write_tiny_problem(self.folder / "problem", orders=900)
        self.servers = {
            "postgres": postgres(self.folder / "postgres", self.ports["postgres"], secrets / "postgres_password"),
            "redis": self._redis(),
            "s3": s3(self.folder / "s3", self.ports["s3"], secrets),
            **{name: self._of_python(name) for name in ("prefect", "mlflow", "worker", "api", "api-2")},
        }
        self.begin("postgres", "redis", "s3")
        self._make_databases()
        for bucket in (BUCKET, LAKE_BUCKET):
            self.bucket().create_bucket(Bucket=bucket)
        self.begin("prefect", "mlflow")

    def begin(self, *names: str) -> None:
        """Start servers side by side and wait until all of them answer."""
        for name in names:
            self.servers[name].begin()
        for name in names:
            self.servers[name].wait()

    def ensure(self, *names: str) -> None:
        """Start those of the servers that do not run."""
        self.begin(*(name for name in names if not self.servers[name].runs))

    def stop(self) -> None:
        """End all processes."""
        for server in reversed(self.servers.values()):
            server.kill()

    def here(self, text: str) -> str:
        """Replace addresses and folders of the containers by those of this machine."""
        for name, port in _PORTS.items():
            text = text.replace(f"{name}:{port}", f"127.0.0.1:{self.ports[name]}")
        text = text.replace("0.0.0.0", "127.0.0.1").replace("dir /data", f"dir {self.folder}/redis")
        return re.sub(r"(?<![\w/.])(?=/(state|problem|run/secrets|etc/headrace)\b)", str(self.folder), text)

    def environment(self, name: str) -> dict[str, str]:
        """Return the variables of a service of compose.yaml, beside what the system needs."""
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("PREFECT", "MLFLOW", "HEADRACE", "PG", "AWS", "REDIS"))}  # fmt: skip
        service = name.removesuffix("-2")
        declared = SERVICES[service]["environment"] | (_S3 if name == "mlflow" else {})
        declared |= _LAKE[service]["environment"] if service in _LAKE else {}
        given = {"S3_ENDPOINT": self.s3_address, "S3_BUCKET": BUCKET, "LAKE_BUCKET": LAKE_BUCKET}
        variables = {key: self.here(_filled(value, given)) for key, value in declared.items() if value is not None}
        port = self.ports.get(name if name.startswith("api") else "api")
        return {**kept, **QUIET, **variables, "HEADRACE_API_PORT": str(port)}

    def command(self, *arguments: str, start_new_session: bool = False) -> subprocess.Popen[str]:
        """Start a module with the variables of the deployment."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *arguments], env=self.environment("deploy"), cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=start_new_session,
        )  # fmt: skip

    def done(self, *arguments: str) -> str:
        """Run a module to its end, which is a good one; returns its output."""
        code, output = finish(self.command(*arguments))
        assert code == 0, output
        return output

    def ask(self, name: str, path: str, method: str = "GET", **options: Any) -> httpx.Response:
        """Send a request to a service."""
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.request(method, f"http://127.0.0.1:{self.ports[name]}{path}", **options)

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Query a database of PostgreSQL."""
        with self._connected(database) as connection:
            found: list[tuple[Any, ...]] = connection.execute(query.encode()).fetchall()
            return found

    def bucket(self, keys: tuple[str, str] = S3_KEYS) -> Any:
        """Return a client of the S3 API."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.s3_address, aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1], region_name="us-east-1",
        )  # fmt: skip

    @property
    def s3_address(self) -> str:
        """Address of the S3 API."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def redis(self, password: str | None = "planted-redis-password") -> Any:
        """Return a client of Redis."""
        import redis

        return redis.Redis(port=self.ports["redis"], password=password)

    def _connected(self, database: str, **options: Any) -> Any:
        import psycopg

        secret = str(self.folder / "run" / "secrets" / "pgpass")
        address = f"postgresql://headrace@127.0.0.1:{self.ports['postgres']}/{database}"
        return psycopg.connect(address, passfile=secret, **options)

    def _make_databases(self) -> None:
        with self._connected("postgres", autocommit=True) as connection:
            for statement in filter(None, map(str.strip, (_DOCKER / "databases.sql").read_text().split(";"))):
                connection.execute(statement.encode())

    def _redis(self) -> Server:
        (script,) = SERVICES["redis"]["command"]
        script = self.here(script.replace("$$", "$").replace("port 6379", f"port {self.ports['redis']}"))
        shell = [*SERVICES["redis"]["entrypoint"], script.replace("valkey-server", f"exec {redis_executable()}")]
        folder = self.folder / "redis"
        return Server(
            command=shell, answers=accepts_redis(self.ports["redis"]), log=folder / "redis.log",
            environment=dict(os.environ), folder=folder,
        )  # fmt: skip

    def _of_python(self, name: str) -> Server:
        port, own = str(_PORTS.get(name, "")), str(self.ports.get(name, ""))
        parts = [self.here(part) for part in SERVICES[name.removesuffix("-2")]["command"]]
        parts = [part.replace(port, own) if port and part.endswith(port) else part for part in parts]
        probe = f"http://127.0.0.1:{own}{_PROBES[name]}" if name in _PROBES else ""
        return Server(
            command=[sys.executable, "-P", "-m", *parts], answers=answers_http(probe) if probe else lambda: True,
            log=self.folder / f"{name}.log", environment=self.environment(name), folder=self.folder,
        )  # fmt: skip


def finish(started: subprocess.Popen[str], timeout_s: float = 900) -> tuple[int, str]:
    """Wait for a command; returns its code and all of its output."""
    output, errors = started.communicate(timeout=timeout_s)
    return started.returncode, output + errors


def _secrets(ports: dict[str, int]) -> dict[str, str]:
    """Name of a file -> its content, as the head of compose.yaml makes them."""
    return {
        "postgres_password": "planted-postgres-password",
        "pgpass": f"127.0.0.1:{ports['postgres']}:*:headrace:planted-postgres-password",
        "redis_password": "planted-redis-password",
        "redis_url": f"redis://:planted-redis-password@127.0.0.1:{ports['redis']}/0",
        "mlflow_password": USERS["mlflow"][1],
        "mlflow_secret_key": "planted-mlflow-secret-key",
        "prefect_auth": ":".join(USERS["prefect"]),
        "s3_access_key": S3_KEYS[0],
        "s3_secret_key": S3_KEYS[1],
    }


def _filled(text: str, given: dict[str, str]) -> str:
    """Fill in variables as Compose does: ${NAME:-default}, ${NAME:?message}."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: given.get(found[1], found[2] or ""), text)
