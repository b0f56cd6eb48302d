"""The demo's installation: apart from the user's, and found again."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from headrace.flows.demo.__main__ import main
from headrace.flows.demo.installation import installation
from headrace.flows.demo.receiver import Receiver, alert_receiver
from tests.tiny_problem import write_tiny_problem


def test_it_keeps_its_ports_while_they_are_free(tmp_path: Path) -> None:
    first = installation(tmp_path / "demo", "flights")
    assert installation(tmp_path / "demo", "flights") == first
    assert len(set(first.ports.values())) == 5
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first.ports["api"]))
        taken.listen()
        assert installation(tmp_path / "demo", "flights").ports != first.ports


def test_nothing_of_the_users_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "http://example.com")
    monkeypatch.setenv("HEADRACE_ALERT_URL", "json://example.com/the-users")
    where = installation(tmp_path / "demo", "flights")
    services = {one.name: one for one in where.services(Receiver(url="json://127.0.0.1:9/alerts"))}
    assert set(services) == {"Prefect", "MLflow", "Evidently", "API", "worker"}
    assert all("example.com" not in str(one) for one in services.values())
    assert services["worker"].env["HEADRACE_ALERT_URL"] == "json://127.0.0.1:9/alerts"
    assert "--without-schedules" in services["worker"].prepare
    assert {one.env["HEADRACE_HOME"] for one in services.values()} == {str(tmp_path / "demo")}
    assert (tmp_path / "demo" / ".gitignore").read_text() == "*\n"


def test_a_problem_without_a_feed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_problem(tmp_path / "shop")
    assert main([str(path), "--home", str(tmp_path / "demo")]) == 1
    assert "shop: has no feed to replay" in capsys.readouterr().err


def test_what_the_receiver_was_sent_can_be_looked_at() -> None:
    with alert_receiver() as receiver:
        address = receiver.url.replace("json://", "http://")
        assert "Nothing was received" in httpx.get(address, trust_env=False).text
        for title in ("first", "<second>"):
            sent = {"title": title, "message": "see http://127.0.0.1:9/report\nnow", "type": "warning"}
            assert httpx.post(address, json=sent, trust_env=False).status_code == 200
        shown = httpx.get(address, trust_env=False).text
    assert shown.index("&lt;second&gt;") < shown.index("first")
    assert '<a href="http://127.0.0.1:9/report">' in shown
