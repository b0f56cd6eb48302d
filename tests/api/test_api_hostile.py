"""Requests that no honest client sends: each is answered below 500, in the form of our errors, and logs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.api.served import Served, error_of, serve
from tests.serving_fixtures import ROW

JSON = {"Content-Type": "application/json"}
LONG_INTEGER = "1" + "0" * 400


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One app for all, for what is refused leaves nothing behind; it answers at the end as it did at first."""
    with serve(tmp_path_factory.mktemp("hostile")) as app:
        yield app
        assert app.client.post("/predict", json=dict(ROW)).status_code == 200
        assert app.client.get("/readyz").status_code == 200


def row_with(column: str, literal: str) -> bytes:
    """A good row with one value written as this literal, which Python's own writer would not write."""
    return json.dumps({**ROW, column: "@"}).replace('"@"', literal).encode()


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
@pytest.mark.parametrize(
    ("column", "literal", "what"),
    [
        ("amount", LONG_INTEGER, "must be a finite number or null"),
        ("amount", "1" * 5000, "the body is not valid JSON: a number has too many digits"),
        ("amount", "1e999", "must be a finite number or null"),
        ("amount", "NaN", "the body is not valid JSON: NaN is no JSON number"),
        ("other", "-Infinity", "the body is not valid JSON: -Infinity is no JSON number"),
        ("amount", "[" * 100 + "]" * 100, "must be a text, a number, true, false or null"),
        ("other", "[" * 100_000 + "]" * 100_000, "the body is nested too deeply"),
        ("customer_id", LONG_INTEGER, "must be a whole number of 64 bits"),
        ("customer_id", str(2**63), "must be a whole number of 64 bits"),
        ("customer_id", r'"\ud800"', "must be a text of whole characters"),
        ("channel", r'"\udfff x"', "must be a text of whole characters"),
        ("channel", LONG_INTEGER * 25, "the body is not valid JSON: a number has too many digits"),
        ("channel", '"' + "x" * 10_001 + '"', "must have at most 10,000 characters"),
        ("placed", r'"\ud800"', "must be an ISO time with its zone, such as 2013-05-01T12:00:00Z"),
        ("placed", '"0000-01-01T00:00:00Z"', "must be an ISO time with its zone, such as 2013-05-01T12:00:00Z"),
        ("placed", '"99999-01-01T00:00:00Z"', "must be an ISO time with its zone, such as 2013-05-01T12:00:00Z"),
        ("order_id", "1e999", "must be a finite number or null"),
        ("order_id", LONG_INTEGER, "must be a whole number of 64 bits"),
        ("order_id", r'"\ud800"', "must be a text of whole characters"),
        ("order_id", "{}", "must be a text, a number, true, false or null"),
    ],
)
def test_a_wrong_value_is_one_clear_error(served: Served, path: str, column: str, literal: str, what: str) -> None:
    before, body = len(served.log), row_with(column, literal)
    if path == "/predict/batch":
        body = b'{"rows": [' + body + b"]}"
    assert error_of(served.client.post(path, content=body, headers=JSON), 422)["what"] == what
    assert len(served.log) == before


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"customer_id": "\xff"}', "the body is not valid JSON"),
        (json.dumps(dict(ROW)).encode("utf-16"), "the body is not valid JSON"),
        (
            b"\xef\xbb\xbf{}",
            "the body is not valid JSON: Unexpected UTF-8 BOM (decode using utf-8-sig), at character 0",
        ),
        (b'{"amount": 1, "amount": 2}', "a name stands twice in one object"),
        (rb'{"\ud800": 1}', "lacks customer_id, amount, gift, channel, placed"),
    ],
)
def test_a_wrong_body_is_one_clear_error(served: Served, body: bytes, what: str) -> None:
    assert error_of(served.client.post("/predict", content=body, headers=JSON), 422)["what"] == what


@pytest.mark.parametrize("placed", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_first_and_the_last_year_are_answered(served: Served, placed: str) -> None:
    answer = served.client.post("/predict", json={**ROW, "placed": placed})
    assert answer.status_code == 200
    assert answer.json()["flags"] == ["lead_time_unusual"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "text/plain;application/json"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_only_json_that_is_declared_as_json_is_read(served: Served, path: str, headers: dict[str, str]) -> None:
    before = len(served.log)
    error = error_of(served.client.post(path, content=json.dumps(dict(ROW)), headers=headers), 415)
    assert error["fix"] == "send Content-Type: application/json, and no Content-Encoding"
    assert len(served.log) == before


def test_the_type_of_json_may_name_its_charset(served: Served) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert served.client.post("/predict", content=json.dumps(dict(ROW)), headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "localhost.evil.example", "", "127.0.0.1:x"])
@pytest.mark.parametrize("path", ["/predict", "/model", "/readyz", "/docs", "/nothing"])
def test_a_foreign_host_is_refused_before_anything_is_done(served: Served, path: str, host: str) -> None:
    error = error_of(served.client.get(path, headers={"Host": host}), 400)
    assert error["code"] == "wrong_host"
    assert "HEADRACE_ALLOWED_HOSTS" in error["fix"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]", "[::1]:8080"])
def test_the_names_of_this_machine_are_answered(served: Served, host: str) -> None:
    assert served.client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}])
def test_what_a_foreign_page_sends_is_refused(served: Served, headers: dict[str, str]) -> None:
    before = len(served.log)
    error = error_of(served.client.post("/predict", json=dict(ROW), headers=headers), 403)
    assert error["code"] == "foreign_page"
    assert len(served.log) == before


def test_pages_are_framed_by_none_and_our_own_page_can_ask(served: Served) -> None:
    assert served.client.get("/docs").headers["x-frame-options"] == "SAMEORIGIN"
    ours = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert served.client.post("/predict", json=dict(ROW), headers=ours).status_code == 200


def test_a_foreign_origin_is_allowed_nothing(served: Served) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = served.client.options("/predict", headers=asked)
    assert preflight.status_code == 405
    answers = [preflight, served.client.get("/model", headers={"Origin": "http://evil.example"})]
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control")]
