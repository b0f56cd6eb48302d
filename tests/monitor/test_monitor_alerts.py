"""Alerts: what they say, and that a local receiver gets them once, late rather than never, with no secret kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from headrace.access.outbound import parse_networks
from headrace.core.clock import DAY, HOUR, MINUTE
from headrace.core.errors import DeclarationError
from headrace.monitor.alerts import delivery
from headrace.monitor.alerts.delivery import DeliveryRound, check_addresses, queued_alerts
from headrace.monitor.outbox.announce import announce, conclude
from headrace.monitor.outbox.message import decision_alert, outcome_alert
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Decision, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from headrace.schema import Policy

#: The receivers of these tests are on this machine.
deliver = partial(delivery.deliver, networks=parse_networks("127.0.0.0/8", where="tests"))
FINDINGS = (
    Finding(name="auc", about="quality", test="bootstrap", effect=0.061),
    *(Finding(name=f"f{n}", test="ks", effect=0.2, floor=0.1, p_value=1e-9) for n in range(10)),
    Finding(name="dep_delay", test="psi", effect=0.5, floor=0.1, p_value=1e-9, weight=0.31, note="new categories"),
)


class Receiver(ThreadingHTTPServer):
    """Notes what it is sent. status: what it answers; location: where it sends callers on to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, Any]] = []
        self.status = 200
        self.location = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path, "flights")


def retrain(day: int = 7) -> Decision:
    return decide(
        Window(
            problem="flights",
            start_us=(day - 7) * DAY,
            end_us=day * DAY,
            champion="3",
            findings=FINDINGS,
            judged=40,
            costs={"auc": 0.061, "log_loss": -0.002},
            rows=5210,
            mature=4800,
            censored=12,
        )
    )


def test_the_message_says_what_drifted_how_much_what_it_cost_and_where_to_look() -> None:
    alert = decision_alert(retrain(), {"Report": "http://127.0.0.1:8000/projects/1"})
    assert alert is not None
    assert alert.title == "Headrace flights: retraining"
    lines = alert.body.splitlines()
    assert lines[0] == "auc is worse by 0.061 on matured labels."
    assert lines[2] == (
        "Window: 1970-01-01T00:00:00Z to 1970-01-08T00:00:00Z, 5,210 predictions of version 3;"
        " 4,800 labels matured, 12 are overdue."
    )
    assert lines[3] == "Cost on matured labels: auc 0.061 worse, log_loss 0.002 better"
    assert lines[6] == "- auc: worse by 0.061"
    assert lines[7] == "- dep_delay: psi 0.5, 5.0 times what matters, 31.0% of the model's importance, new categories"
    assert "- and 4 more" in lines
    assert "Report: http://127.0.0.1:8000/projects/1" in lines
    assert decision_alert(decide(Window(problem="flights", start_us=0, end_us=1, champion="1"))) is None


@pytest.mark.parametrize(
    ("outcome", "level", "title"),
    [
        ("promoted", "success", "Headrace flights: version 4 is champion"),
        ("refused", "warning", "Headrace flights: the challenger was refused"),
        ("failed", "failure", "Headrace flights: the retrain failed"),
        ("superseded", "info", "Headrace flights: the retrain is not needed any more"),
    ],
)
def test_each_outcome_has_a_message(outcome: Any, level: str, title: str) -> None:
    alert = outcome_alert(retrain(), outcome, "auc -0.004 (-0.006 to -0.002)", version="4", at_us=9 * DAY)
    assert (alert.title, alert.level) == (title, level)
    assert alert.body.startswith("auc -0.004 (-0.006 to -0.002).\n")


def test_a_webhook_gets_it_once(outbox: Outbox, receiver: Receiver) -> None:
    announce(outbox, retrain(), now_us=0, links={"Report": "http://x"})
    announce(outbox, retrain(), now_us=5)
    url = f"json://{receiver.address}/hook"
    assert deliver(outbox, [url], now_us=1) == DeliveryRound(sent=(f"{retrain().id}:retrain",))
    assert deliver(outbox, [url], now_us=2, at_once=True) == DeliveryRound()
    ((path, body),) = receiver.received
    assert path == "/hook"
    assert body["title"] == "Headrace flights: retraining"
    assert "dep_delay: psi 0.5" in body["message"]
    assert "Report: http://x" in body["message"]
    assert [message.state for message in queued_alerts(outbox)] == ["delivered"]


def test_slack_and_a_slack_style_webhook(outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"http://{receiver.address}/services")
    announce(outbox, retrain(), now_us=0)
    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7/#alerts"
    mattermost = f"mmost://{receiver.address}/3ccdd113474722377935511fc85d3dd4"
    assert deliver(outbox, [slack, mattermost], now_us=1).failed == ()
    (slack_path, slack_body), (style_path, style_body) = receiver.received
    assert slack_path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7"
    assert "dep_delay: psi 0.5" in json.dumps(slack_body["attachments"])
    assert style_path == "/hooks/3ccdd113474722377935511fc85d3dd4"
    assert "dep_delay: psi 0.5" in style_body["text"]


def test_a_lost_delivery_is_tried_again_later_and_later(outbox: Outbox, receiver: Receiver) -> None:
    announce(outbox, retrain(), now_us=0)
    url = f"json://user:hunter2@{receiver.address}/secret-token"
    receiver.status = 500
    ((alert_id, error),) = deliver(outbox, [url], now_us=0).failed
    assert "500" in error
    assert deliver(outbox, [url], now_us=MINUTE - 1) == DeliveryRound(waiting=1)
    assert len(deliver(outbox, [url], now_us=MINUTE).failed) == 1
    (message,) = queued_alerts(outbox)
    assert (message.attempts, message.next_us, message.state) == (2, 3 * MINUTE, "failed, will be tried again")
    receiver.status = 200
    assert deliver(outbox, [url], now_us=2 * MINUTE, at_once=True).sent == (alert_id,)
    assert len(receiver.received) == 3
    kept = b"".join(path.read_bytes() for path in outbox.path.parent.iterdir())
    assert b"dep_delay" in kept
    assert b"hunter2" not in kept
    assert b"secret-token" not in kept


def test_a_pause_of_before_the_wall_clock_was_set_back_is_over(outbox: Outbox, receiver: Receiver) -> None:
    announce(outbox, retrain(), now_us=365 * DAY)
    receiver.status = 500
    url = f"json://{receiver.address}/hook"
    assert deliver(outbox, [url], now_us=365 * DAY).failed
    receiver.status = 200
    assert deliver(outbox, [url], now_us=365 * DAY).waiting == 1
    assert deliver(outbox, [url], now_us=DAY).sent


def test_pauses_are_at_most_six_hours(outbox: Outbox) -> None:
    announce(outbox, retrain(), now_us=0)
    for _ in range(12):
        deliver(outbox, ["json://127.0.0.1:9/nobody"], now_us=0, at_once=True)
    (message,) = queued_alerts(outbox)
    assert (message.attempts, message.next_us) == (12, 6 * HOUR)
    assert message.last_error


def test_a_receiver_that_has_it_does_not_get_it_again_because_of_another(outbox: Outbox, receiver: Receiver) -> None:
    announce(outbox, retrain(), now_us=0)
    good, bad = f"json://{receiver.address}/good", "json://127.0.0.1:9/nobody"
    assert len(deliver(outbox, [good, bad], now_us=0).failed) == 1
    assert len(deliver(outbox, [good, bad], now_us=HOUR).failed) == 1
    assert [path for path, _ in receiver.received] == ["/good"]
    assert len(deliver(outbox, [good], now_us=DAY).sent) == 1
    assert len(receiver.received) == 1


def test_redirects_are_not_followed(outbox: Outbox, receiver: Receiver) -> None:
    announce(outbox, retrain(), now_us=0)
    receiver.status, receiver.location = 307, f"http://{receiver.address}/elsewhere"
    assert len(deliver(outbox, [f"json://{receiver.address}/hook"], now_us=0).failed) == 1
    assert [path for path, _ in receiver.received] == ["/hook"]


def test_without_an_address_everything_waits(outbox: Outbox) -> None:
    announce(outbox, retrain(), now_us=0)
    assert deliver(outbox, [], now_us=0) == DeliveryRound(waiting=1)
    assert [message.state for message in queued_alerts(outbox)] == ["waiting"]


def test_one_process_delivers_at_a_time(outbox: Outbox, receiver: Receiver) -> None:
    announce(outbox, retrain(), now_us=0)
    with FileLock(outbox.path.with_suffix(".deliver.lock")):
        assert deliver(outbox, [f"json://{receiver.address}/hook"], now_us=0) == DeliveryRound()
    assert receiver.received == []


def test_addresses_are_checked_and_shown_without_their_secrets() -> None:
    with pytest.raises(DeclarationError, match=r"HEADRACE_ALERT_URL: .*begins with gopher://") as caught:
        check_addresses(["gopher://user:hunter2@host"])
    assert "hunter2" not in str(caught.value)
    (shown,) = check_addresses(["json://user:hunter2@host/path"])
    assert "hunter2" not in shown


def test_a_refusal_is_told_and_the_last_straw_escalates(outbox: Outbox, receiver: Receiver) -> None:
    decision = retrain()
    announce(outbox, decision, now_us=0)
    claim = outbox.claim(decision.id, "run", now_us=0)
    assert claim is not None
    policy = Policy(escalate_after=1)
    entry = conclude(outbox, claim, "refused", "auc -0.01", now_us=1, at_us=8 * DAY, policy=policy)
    assert entry.outcome == "refused"
    assert conclude(outbox, claim, "refused", "again", now_us=2, at_us=8 * DAY, policy=policy) == entry
    deliver(outbox, [f"json://{receiver.address}/hook"], now_us=3)
    assert [body["title"].removeprefix("Headrace flights: ") for _, body in receiver.received] == [
        "retraining",
        "the challenger was refused",
        "retraining does not help, a person is needed",
    ]
