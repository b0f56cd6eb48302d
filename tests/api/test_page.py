"""The page as HTML: what it says, its forms and their protection. Everywhere, without a browser."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from headrace.api.page.links import Links
from headrace.monitor.outbox.outbox import Outbox
from headrace.serving.reports import report_file
from tests.api.paged import HOSTILE, WALL, FakePrefect, fake_prefect, page, paged, token_of
from tests.api.served import TestClient, error_of

__all__ = ["page"]
ALERT = "2" * 16
DEPLOYMENT = {
    "id": "d1", "name": "shop-pipeline", "description": "The main job", "schedules": [
        {"schedule": {"cron": "0 3 * * *"}, "active": True}],
}  # fmt: skip
RUN = {
    "id": "r1", "name": "pipeline shop", "state_name": "Completed", "state_type": "COMPLETED",
    "start_time": "2024-03-01T11:00:00+00:00", "total_run_time": 12.5,
}  # fmt: skip


class Elements(HTMLParser):
    """(tag, attributes) of every element."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def body_of(client: TestClient) -> str:
    answer = client.get("/")
    assert answer.status_code == 200
    return str(answer.text)


def test_it_says_what_the_model_is_and_how_good(page: TestClient) -> None:
    body = body_of(page)
    assert "Answers with version 1." in body
    assert "Area under the ROC curve" in body
    assert "0.5 is a coin, 1 is perfect" in body
    assert "In production, 2024-02" in body
    assert "Version 2 was trained and is not champion." in body
    assert "The production clock is at <b>2024-03-01 12:00 UTC</b>" in body
    assert "fresh, less than a minute old" in body
    assert "3 windows were evaluated" in body


def test_plots_have_titles_and_tables(page: TestClient) -> None:
    body = body_of(page)
    assert len(re.findall(r'<svg viewBox="0 0 420 230" role="img" aria-labelledby', body)) == 2
    values = re.findall(r'<th scope="row">2024-02-\d\d</th><td>([^<]*)</td>', body)
    assert "0.77" in values  # the gate's .78 less the drop of .01 of the first week
    assert body.count("Values as a table") == 2


def test_texts_of_others_are_escaped(page: TestClient) -> None:
    body = body_of(page)
    assert HOSTILE not in body
    assert "&lt;script&gt;" in body


def test_no_script_no_style_attribute_nothing_of_another_host(page: TestClient) -> None:
    answer = page.get("/")
    for tag, attributes in Elements(answer.text).found:
        assert tag not in ("script", "iframe", "object", "style")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action"):
            assert "://" not in (attributes.get(name) or "")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert page.get("/page.css").headers["content-type"].startswith("text/css")


def test_every_field_has_a_label_and_every_button_a_name_of_its_own(page: TestClient) -> None:
    body = body_of(page)
    assert len(re.findall(r"<label>", body)) == len(re.findall(r"<input (?!type=\"hidden\")", body)) == 4
    buttons = re.findall(r"<button>(.*?)</button>", body, re.DOTALL)
    assert len(set(buttons)) == len(buttons) == 2


def test_an_alert_is_acknowledged_once_and_by_name(page: TestClient, tmp_path: Path) -> None:
    fields = {"token": token_of(body_of(page)), "who": "Ada", "note": "known <b>outage</b>"}
    answer = page.post(f"/alerts/{ALERT}/acknowledge", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?done=acknowledged")
    seen = Outbox(tmp_path, "shop").get(ALERT).acknowledged
    assert seen is not None
    assert (seen.who, seen.at_us, seen.note) == ("Ada", WALL, "known <b>outage</b>")
    body = page.get("/?done=acknowledged").text
    assert "The alert is acknowledged." in body
    assert f"alerts/{ALERT}" not in body
    assert "Seen by Ada" in body
    assert "<b>outage</b>" not in body


def test_getting_the_page_changes_nothing(page: TestClient, tmp_path: Path) -> None:
    before = [one.acknowledged for one in Outbox(tmp_path, "shop").history()]
    for path in (f"/alerts/{ALERT}/acknowledge", "/deployments/shop-pipeline/run"):
        assert page.get(path).status_code == 405
    body_of(page)
    assert [one.acknowledged for one in Outbox(tmp_path, "shop").history()] == before


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_the_pages_token_is_refused(page: TestClient, tmp_path: Path, token: str) -> None:
    body_of(page)
    answer = page.post(f"/alerts/{ALERT}/acknowledge", data={"token": token, "who": "Mallory"})
    assert error_of(answer, 403)["code"] == "wrong_token"
    assert Outbox(tmp_path, "shop").get(ALERT).acknowledged is None


def test_a_token_is_of_one_browser(page: TestClient, tmp_path: Path) -> None:
    token = token_of(body_of(page))
    page.cookies.clear()  # another browser
    body_of(page)
    assert page.post(f"/alerts/{ALERT}/acknowledge", data={"token": token, "who": "Mallory"}).status_code == 403


def test_a_foreign_page_is_refused_even_with_the_token(page: TestClient) -> None:
    fields = {"token": token_of(body_of(page)), "who": "Mallory"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        answer = page.post(f"/alerts/{ALERT}/acknowledge", data=fields, headers=headers)
        assert error_of(answer, 403)["code"] == "foreign_page"


def test_wrong_forms_are_refused_in_one_line(page: TestClient) -> None:
    token = token_of(body_of(page))
    path = f"/alerts/{ALERT}/acknowledge"
    assert error_of(page.post(path, json={"token": token}), 415)["code"] == "not_a_form"
    assert error_of(page.post(path, data={"token": token, "who": "  "}), 422)["what"] == "the name is missing"
    long = {"token": token, "who": "x" * 20_000}
    assert error_of(page.post(path, data=long), 413)["code"] == "too_large"
    unknown = page.post("/alerts/none-such/acknowledge", data={"token": token, "who": "Ada"})
    assert unknown.status_code == 409
    assert "no decision" in unknown.text


def test_the_cookie_is_for_this_page_only(page: TestClient) -> None:
    cookie = page.get("/").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_without_prefect_it_says_so_and_starts_nothing(page: TestClient) -> None:
    body = body_of(page)
    assert "Prefect is not up" in body
    assert "/run" not in body
    answer = page.post("/deployments/shop-pipeline/run", data={"token": token_of(body)})
    assert answer.status_code == 409
    assert "Prefect does not answer" in answer.text


def test_a_button_starts_a_deployment(tmp_path: Path) -> None:
    runs = [RUN, {**RUN, "id": "r2", "name": "pipeline shop2"}]
    keys = [{"key": "shop-promotion"}, {"key": "shopping"}]
    with (
        fake_prefect(FakePrefect(deployments=[DEPLOYMENT], runs=runs, artifacts=keys)) as prefect,
        paged(tmp_path, Links(prefect=prefect.address)) as client,
    ):
        body = body_of(client)
        assert "Start pipeline" in body
        assert "Schedule: 0 3 * * * (UTC)." in body
        here = prefect.address.replace("127.0.0.1", "localhost")
        assert f"{here}/runs/flow-run/r1" in body
        assert "flow-run/r2" not in body  # of another problem
        assert f"{here}/artifacts/key/shop-promotion" in body
        assert "shopping" not in body
        answer = client.post("/deployments/shop-pipeline/run", data={"token": token_of(body)})
        assert answer.headers["location"] == "/?done=started"
        assert [path for path, _ in prefect.asked][-1] == "/api/deployments/d1/create_flow_run"
        unknown = client.post("/deployments/other/run", data={"token": token_of(body)})
        assert unknown.status_code == 409
        assert "no deployment" in unknown.text


def test_a_start_waits_for_a_busy_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is shown without it; a start that is given up after as short a time would have happened all the same."""

    class Busy(FakePrefect):
        def answer(self, path: str, body: Any) -> Any:
            if path.endswith("/create_flow_run"):
                time.sleep(0.4)  # longer than a read may take
            return super().answer(path, body)

    monkeypatch.setattr("headrace.api.page.prefect._READ_TIMEOUT_S", 0.1)
    with (
        fake_prefect(Busy(deployments=[DEPLOYMENT])) as prefect,
        paged(tmp_path, Links(prefect=prefect.address)) as client,
    ):
        answer = client.post("/deployments/shop-pipeline/run", data={"token": token_of(body_of(client))})
        assert answer.headers["location"] == "/?done=started"


def test_a_message_is_one_of_ours(page: TestClient) -> None:
    assert "evil" not in page.get("/", params={"done": "evil<script>"}).text


def test_a_report_is_shown_where_there_is_one(page: TestClient, tmp_path: Path) -> None:
    assert "models/1/report" not in body_of(page)
    assert page.get("/models/1/report").status_code == 404
    file = report_file(tmp_path, "shop", "1")
    file.parent.mkdir(parents=True)
    file.write_text("<!doctype html><title>report</title>")
    assert "models/1/report" in body_of(page)
    answer = page.get("/models/1/report")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in ("/models/..%2f1/report", "/models/1.html/report", "/models/%C2%B2/report"):
        assert page.get(path).status_code == 404


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(page: TestClient, tmp_path: Path) -> None:
    Outbox(tmp_path, "shop").path.write_bytes(b"no database" * 1000)
    body = body_of(page)
    assert "the decisions of monitoring cannot be read" in body
    assert str(tmp_path) not in body
    assert "Answers with version 1." in body
