"""A PostgreSQL server of the test's own, in a temporary folder; None where none is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Who runs the server where the tests run as root, whom PostgreSQL refuses.
_USER = "nobody"


@contextmanager
def postgres() -> Iterator[str]:
    """Start a server; yields `host:port`, its only user being `headrace`. Skips where there is no postgres."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not on PATH (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="headrace-postgres-"))
    as_user: dict[str, Any] = {"cwd": folder, "capture_output": True, "text": True, "check": True, "timeout": 120}
    if os.geteuid() == 0:
        account = pwd.getpwnam(_USER)
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, log = folder / "data", folder / "log"
    options = f"-c listen_addresses=127.0.0.1 -p {port} -c fsync=off -k {folder}"
    try:
        subprocess.run(["initdb", "-D", data, "-A", "trust", "-U", "headrace", "--no-sync", "-E", "UTF8"], **as_user)
        # pg_ctl's streams would be held open by the server
        quiet = {**as_user, "capture_output": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"], **quiet)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            subprocess.run(["pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], **quiet)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
