"""What is attacked: a real installation of a tiny problem, started by `headrace up` on free ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tiny_problem import write_tiny_problem

ROOT = Path(__file__).parents[2]
_PORTS = ("prefect", "mlflow", "api", "evidently", "feast")


@dataclass(frozen=True, kw_only=True)
class Target:
    """problem: its file. home: the state. ports: by service, in lower case. env: what its commands are run with."""

    problem: Path
    home: Path
    ports: dict[str, int]
    env: dict[str, str]

    def url(self, service: str, path: str = "", *, host: str = "127.0.0.1") -> str:
        """The address of `prefect`, `mlflow`, `evidently`, `feast` or `api`."""
        return f"http://{host}:{self.ports[service]}{path}"

    def headrace(self, *arguments: str) -> str:
        """Run the `headrace` command on this installation; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "headrace.cli", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def installation(folder: Path) -> Iterator[Target]:
    """A champion of the tiny problem, and every service up while the block runs."""
    problem, home, ports = write_tiny_problem(folder / "shop"), folder / "home", _free_ports()
    ours = {
        "HEADRACE_HOME": str(home),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        **{f"HEADRACE_{name.upper()}_PORT": str(port) for name, port in ports.items()},
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW", "HEADRACE"))}
    target = Target(problem=problem, home=home, ports=ports, env={**kept, **ours})
    target.headrace("run", str(problem))
    try:
        target.headrace("up", str(problem))
        yield target
    finally:
        target.headrace("down")


def _free_ports() -> dict[str, int]:
    sockets = [socket.socket() for _ in _PORTS]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: int(one.getsockname()[1]) for name, one in zip(_PORTS, sockets, strict=True)}
    finally:
        for one in sockets:
            one.close()
