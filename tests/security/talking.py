"""How attacks talk to the services: from a page in a browser, and as a program on the same machine."""

from __future__ import annotations

from typing import Any

import httpx

from headrace.core.prefect_server import csrf_headers
from tests.security.target import Target

#: fetch(), as a script of the page sends it: what the page learns, as one line. Bytes go without a content type.
FETCH = """
const [url, options, bytes, done] = arguments;
if (bytes) options.body = new TextEncoder().encode(options.body);
fetch(url, options).then(
    async answer => done(answer.type + " " + answer.status + " " + (await answer.text()).slice(0, 80)),
    error => done(String(error)));
"""

#: A form that the page fills in and posts into a hidden frame. JSON stands in the field's name.
FORM = """
const [url, body, encoding, done] = arguments;
const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), {name: "answer"}));
const form = document.body.appendChild(Object.assign(document.createElement("form"), {
    method: "post", action: url, enctype: encoding, target: "answer"}));
const [name, value] = [body.slice(0, -1) + ', "', '": 0}'];
form.append(Object.assign(document.createElement("input"), {name, value}));
frame.onload = () => done("posted");
form.submit();
"""

#: The same by XMLHttpRequest and by a beacon, which a page may send while it is left.
XHR = """
const [url, body, type, done] = arguments;
const request = new XMLHttpRequest();
request.open("POST", url);
request.setRequestHeader("content-type", type);
request.onloadend = () => done("status " + request.status + " " + request.responseText.slice(0, 80));
request.send(body);
"""
BEACON = """
const [url, body, type, done] = arguments;
const queued = navigator.sendBeacon(url, new Blob([body], {type}));
fetch(url, {method: "HEAD", mode: "no-cors"}).finally(() => setTimeout(() => done("queued " + queued), 500));
"""

#: A WebSocket, and one message over it.
SOCKET = """
const [url, protocol, message, done] = arguments;
const socket = new WebSocket(url, protocol);
socket.onopen = () => { socket.send(message); done("open"); };
socket.onerror = () => done("refused");
"""

#: A frame of another page.
FRAME = """
const [url, done] = arguments;
const frame = document.createElement("iframe");
frame.onload = () => done(frame);
frame.src = url;
document.body.append(frame);
"""


def fetched(
    page: Any, url: str, *, method: str = "GET", body: str | None = None, as_bytes: bool = False, **options: Any
) -> str:
    """What the script of a page learns from fetch()."""
    chosen = {"method": method, **options} if body is None else {"method": method, "body": body, **options}
    return str(page.execute_async_script(FETCH, url, chosen, as_bytes))


def prefect(target: Target, method: str, path: str, body: object = None) -> httpx.Response:
    """Ask Prefect's API as its clients on this machine do: again, where it is too busy."""
    api = target.url("prefect", "/api")
    with httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(5):
            answer = client.request(method, api + path, json=body, headers=csrf_headers(client, api))
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
    return answer


def deployment(target: Target, name: str = "score/shop-score") -> str:
    """The id of a deployment."""
    return str(prefect(target, "GET", f"/deployments/name/{name}").json()["id"])


def asked(service: str, target: Target, method: str = "GET", path: str = "/", **options: Any) -> httpx.Response:
    """Ask a service as a program on this machine does."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.request(method, target.url(service, path), **options)
