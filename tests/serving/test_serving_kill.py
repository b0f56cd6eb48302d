"""A server that is killed under load loses no prediction that it answered, whenever its journal is synced."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

import pytest

from headrace.prediction_log.log import PredictionLog
from tests.serving_fixtures import ROW

CLIENTS = 8
ANSWERS = 150

SERVER = """
import sys
from pathlib import Path
import uvicorn
from headrace.prediction_log.journal import PredictionJournal
from headrace.api.app import build_app
from tests.api.served import serving
from tests.serving_fixtures import NOW, write_store

root = Path(sys.argv[1])
write_store(root)
service = serving(root, log=PredictionJournal(root, "shop", sync=sys.argv[3]))
service.ledger.promote("1", None, "first", {"auc": 0.7}, NOW)
service.follower.refresh()
uvicorn.run(build_app(service), fd=int(sys.argv[2]), log_level="error")
"""


@pytest.mark.parametrize("sync", ["always", "interval"])
def test_a_kill_under_load_loses_no_answered_prediction(tmp_path: Path, sync: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        port = listening.getsockname()[1]
        command = [sys.executable, "-c", SERVER, str(tmp_path), str(listening.fileno()), sync]
        server = subprocess.Popen(command, pass_fds=[listening.fileno()], cwd=Path(__file__).parents[2], env=os.environ)
    answered: list[str] = []
    enough = threading.Event()
    clients = [threading.Thread(target=ask, args=(port, answered, enough)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        assert enough.wait(120), "the server answered too few requests"
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    for client in clients:
        client.join()
    with PredictionLog(tmp_path, "shop") as log:
        logged = {row.id for row in log.read()}
    assert len(answered) >= ANSWERS
    assert set(answered) <= logged


def ask(port: int, answered: list[str], enough: threading.Event) -> None:
    """Ask for predictions until the server is gone, and note the ids of its answers."""
    body = json.dumps(ROW).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", body, headers={"content-type": "application/json"}
    )
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answered.append(json.load(answer)["id"])
        except urllib.error.HTTPError:  # not ready yet
            continue
        except (OSError, HTTPException):  # killed before the answer, or in the middle of it
            return
        if len(answered) >= ANSWERS:
            enough.set()
