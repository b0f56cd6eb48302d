"""Requests with keys that are missing, wrong, expired, revoked, of another problem, or sent in another way."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.access.rates import Rate
from headrace.access.scopes import Scope
from headrace.api.access.control import access_control
from headrace.core.settings import Settings
from tests.api.keyed import WALL_S, Keyed, keyed
from tests.api.served import error_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Keyed]:
    with keyed(tmp_path) as found:
        yield found


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_an_expired_and_a_revoked_key_are_refused_and_a_rotated_one_is_not(server: Keyed) -> None:
    old = server.key("a", Scope.PREDICT, expires_s=WALL_S + 10)
    assert server.ask("POST", "/predict", old).status_code == 200
    new = server.file.rotate("a", now_s=WALL_S, overlap_s=5)[1]
    server.clock_s += 1
    server.wall_s += 4.9
    assert [server.ask("POST", "/predict", key).status_code for key in (old, new)] == [200, 200]
    server.wall_s += 0.1
    assert "expired" in error_of(server.ask("POST", "/predict", old), 401)["what"]
    server.file.revoke("a", now_s=int(server.wall_s))
    server.clock_s += 0.5
    assert "revoked" in error_of(server.ask("POST", "/predict", new), 401)["what"]


def test_a_wrong_key_is_not_told_from_an_unknown_one(server: Keyed) -> None:
    key = server.key("a", Scope.PREDICT)
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    unknown = "headrace_" + "0" * 12 + key[21:]
    answers = [server.ask("POST", "/predict", text) for text in (wrong, unknown, "x", "headrace_")]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert error_of(answers[0], 401)["code"] == "wrong_key"
    assert answers[0].headers["www-authenticate"] == "Bearer"


def test_a_key_is_taken_from_one_authorization_header_only(server: Keyed) -> None:
    key = server.key("a", *Scope)
    good = ("authorization", f"Bearer {key}")
    assert server.client.get("/model", headers=[good]).status_code == 200
    assert server.client.get("/model", headers=basic(f"anybody:{key}")).status_code == 200
    assert server.client.get("/model", headers=[("authorization", f"bearer  {key} ")]).status_code == 200
    for headers in (
        [good, good], [good, ("authorization", "Bearer other")], [("authorization", key)],
        [("authorization", f"Basic {key}")], [("authorization", f"Digest {key}")],
    ):  # fmt: skip
        assert error_of(server.client.get("/model", headers=headers), 400)["code"] == "ambiguous_key"
    for headers in ([("x-api-key", key)], [("cookie", f"key={key}")], [("proxy-authorization", f"Bearer {key}")]):
        assert error_of(server.client.get("/model", headers=headers), 401)["code"] == "no_key"


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "x"])
def test_a_key_in_an_address_is_refused_even_beside_a_good_one(server: Keyed, name: str) -> None:
    key = server.key("a", *Scope)
    for sent in (key, key.replace("_", "%5F"), f"a{key}b"):
        assert error_of(server.ask("GET", f"/model?{name}={sent}"), 400)["code"] == "key_in_address"
        assert error_of(server.ask("GET", f"/model?{name}={sent}", key), 400)["code"] == "key_in_address"


def test_a_key_of_one_problem_serves_no_other(server: Keyed) -> None:
    key = server.key("a", Scope.PREDICT, Scope.READ, problems=frozenset({"other"}))
    assert server.ask("POST", "/problems/other/predict", key).status_code != 403
    for path in ("/predict", "/problems/shop/predict"):
        assert error_of(server.ask("POST", path, key), 403)["code"] == "wrong_problem"
    assert server.ask("GET", "/problems", key).json() == {"problems": [{"name": "other", "path": "/problems/other"}]}
    assert len(server.ask("GET", "/problems", server.key("b", Scope.READ)).json()["problems"]) == 2


def test_pages_ask_browsers_for_the_key(server: Keyed) -> None:
    assert server.ask("GET", "/").headers["www-authenticate"] == 'Basic realm="Headrace", charset="UTF-8"'
    key = server.key("a", Scope.READ)
    assert server.client.get("/", headers=basic(f":{key}")).status_code == 200


def test_a_key_beyond_its_rate_waits(tmp_path: Path) -> None:
    with keyed(tmp_path, key_rate="2/min") as server:
        few, many = server.key("few", Scope.READ), server.key("many", Scope.READ, rate=Rate(count=50, period_s=1))
        answers = [server.ask("GET", "/model", few) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert error_of(answers[2], 429)["code"] == "too_many_requests"
        assert answers[2].headers["retry-after"] == "30"
        assert [server.ask("GET", "/model", many).status_code for _ in range(20)] == [200] * 20
        server.clock_s += 30
        assert server.ask("GET", "/model", few).status_code == 200


def test_an_address_beyond_its_rate_waits_with_whatever_key(tmp_path: Path) -> None:
    with keyed(tmp_path, address_rate="3/h") as server:
        key = server.key("a", Scope.READ)
        assert [server.ask("GET", "/model", key).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert server.ask("GET", "/healthz").headers["retry-after"] == "1200"


def test_failed_authentications_of_an_address_are_limited_and_good_keys_are_not(server: Keyed) -> None:
    key = server.key("a", Scope.READ)
    codes = [server.ask("GET", "/model", "wrong").status_code for _ in range(70)]
    assert codes == [401] * 60 + [429] * 10
    assert server.ask("GET", "/model", key).status_code == 200
    server.clock_s += 1
    assert server.ask("GET", "/model", "wrong").status_code == 401


def test_refusals_and_actions_are_in_the_audit_log_without_keys(server: Keyed) -> None:
    key = server.key("ada", *Scope)
    for _ in range(5):
        server.ask("GET", "/model", key[:-1])
    server.ask("GET", f"/model?key={key}")
    server.ask("POST", "/alerts/x/acknowledge", key, data={"who": "ada"})
    server.wall_s += 61
    server.ask("GET", "/model", key[:-1])
    lines = server.audited()
    assert [(action, result) for _, action, result in lines] == [
        ("champion.promote", "ok"),  # by the run that made the server's home
        ("access.refused", "refused"),
        ("access.refused", "refused"),
        ("page.action", "403"),
        ("access.refused", "refused"),
    ]
    record = server.file.records()[0]
    assert lines[3][0] == f"key ada ({record.id}) at testclient"
    assert [entry.facts for entry in server.log.entries()][-1] == {"reason": "unknown", "more_before": 4}
    assert key.rpartition("_")[2] not in server.log.path.read_text()


def test_a_new_key_counts_while_the_server_runs(server: Keyed) -> None:
    for _ in range(3):
        assert server.ask("GET", "/model", "headrace_").status_code == 401
    assert server.ask("GET", "/model", server.key("a", Scope.READ)).status_code == 200


@pytest.mark.parametrize(
    ("given", "host", "demanded"),
    [
        ({}, "127.0.0.1", False),
        ({}, "::1", False),
        ({}, "localhost", False),
        ({}, "0.0.0.0", True),
        ({}, "10.1.2.3", True),
        ({}, "box.example", True),
        ({"profile": "production"}, "127.0.0.1", True),
        ({"profile": "production", "auth": "open"}, "127.0.0.1", False),
        ({"auth": "keys"}, "127.0.0.1", True),
        ({"auth": "open"}, "0.0.0.0", False),
    ],
)
def test_when_keys_are_demanded(tmp_path: Path, given: dict[str, str], host: str, demanded: bool) -> None:
    settings = Settings(home=tmp_path, _env_file=None, **given)  # type: ignore[arg-type, call-arg]
    assert settings.demands_keys(host) is demanded
    control = access_control(settings, host)
    assert (control is not None) is demanded
    if control is not None:
        control.denials.close()


def test_a_server_that_no_key_opens_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(home=tmp_path, auth="keys", _env_file=None)  # type: ignore[call-arg]
    with caplog.at_level(logging.WARNING):
        control = access_control(settings, "127.0.0.1")
    assert "headrace keys create" in caplog.text
    assert control is not None
    replace(control).denials.close()
