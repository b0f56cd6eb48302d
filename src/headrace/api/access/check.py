"""Demand an API key of every request, with the scope that the endpoint's line in `ROUTE_SCOPES` names.

A request that no line matches never reaches the application, so an endpoint without a line cannot be called at all
while keys are demanded. A key comes in the Authorization header: `Bearer KEY`, or `Basic` with the key as the password,
which browsers ask people for. In an address it is refused, for addresses end in logs.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from headrace.access.gate import DeniedError
from headrace.access.keys import Key, contains_key
from headrace.access.scopes import Scope
from headrace.api.access.control import AccessControl
from headrace.api.access.route_scopes import Need, RouteScopes
from headrace.api.errors import failure

#: Reason -> status, code, text, what to do.
_ANSWERS: Mapping[str, tuple[int, str, str, str]] = {
    "missing": (401, "no_key", "the request carries no API key", "send Authorization: Bearer and a key"),
    "ambiguous": (400, "ambiguous_key", "the Authorization header is not one key", "send Authorization: Bearer KEY"),
    "in_address": (400, "key_in_address", "the address contains a key", "revoke it: addresses end in logs"),
    "unknown": (401, "wrong_key", "the API key is not known here", "ask the operator for a key"),
    "expired": (401, "wrong_key", "the API key has expired", "ask the operator for a new one"),
    "revoked": (401, "wrong_key", "the API key was revoked", "ask the operator for a new one"),
    "scope": (403, "wrong_scope", "the API key may not do this", "ask the operator for a key with this scope"),
    "problem": (403, "wrong_problem", "the API key is for other problems", "ask the operator for a key for this one"),
    "key_rate": (429, "too_many_requests", "the API key sends too many requests", "wait as Retry-After says"),
    "address_rate": (429, "too_many_requests", "too many requests come from this address", "wait as Retry-After says"),
}  # fmt: skip


class AccessCheck:
    """ASGI middleware that lets a request pass with a key that may do what it asks for.

    Args:
        app: The application.
        control: Checks and audit log.
        problem: Name of the problem that the application serves; None for what belongs to none.
    """

    def __init__(self, app: ASGIApp, control: AccessControl, problem: str | None) -> None:
        self._app = app
        self._gate = control.gate
        self._denials = control.denials
        self._problem = problem
        self._routes = RouteScopes()

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # there is none
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
        need = self._routes.find(scope["method"], path, scope["query_string"])
        try:
            key = self._check(scope, need)
        except DeniedError as denied:
            await self._refusal(scope, need, denied)(scope, receive, send)
            return
        if need is None:
            await failure(404, "not_found", "Not Found", fix="see /docs for the endpoints")(scope, receive, send)
            return
        scope["headrace.key"] = key
        await self._app(scope, receive, self._audited(scope, key, send) if Scope.OPERATE in need.scopes else send)

    def _check(self, scope: Connection, need: Need | None) -> Key | None:
        query = scope["query_string"]
        if query and contains_key(unquote_to_bytes(query)):
            raise DeniedError(reason="in_address")
        self._gate.arrive(_address(scope))
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if need is not None and not need.scopes:
            return self._optional(given)
        if not given:
            raise DeniedError(reason="missing")
        presented = _presented(given)
        return self._gate.admit(presented, need.scopes if need else frozenset(), self._problem)

    def _optional(self, given: list[bytes]) -> Key | None:
        """Return the key of a request for an open endpoint, which tells holders of `read` more."""
        try:
            return self._gate.admit(_presented(given), frozenset({Scope.READ}), self._problem) if given else None
        except DeniedError:
            return None

    def _refusal(self, scope: Connection, need: Need | None, denied: DeniedError) -> JSONResponse:
        address, key = _address(scope), denied.key
        if denied.reason in ("missing", "ambiguous", "in_address", "unknown", "expired", "revoked"):
            wait_s = self._gate.fail(address)
            if wait_s:
                denied = DeniedError(reason="address_rate", wait_s=wait_s)
        who = f"key {key.name} ({key.id})" if key else "unknown"
        self._denials.add(who, address, denied.reason, f"{scope['method']} {need.route if need else '(other)'}")
        status, code, what, fix = _ANSWERS[denied.reason]
        headers = {"Cache-Control": "no-store"}
        if status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="Headrace", charset="UTF-8"' if need and need.page else "Bearer"
        if denied.wait_s:
            headers["Retry-After"] = str(math.ceil(denied.wait_s))
        found = sorted(need.scopes) if need and denied.reason == "scope" else ()
        return failure(status, code, what, found=found, fix=fix, headers=headers)

    def _audited(self, scope: Connection, key: Key | None, send: Send) -> Send:
        """Write an action to the audit log when its answer begins."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and key is not None:
                who, what = f"key {key.name} ({key.id}) at {_address(scope)}", f"{scope['method']} {scope['path']}"
                self._denials.write(who, "page.action", what, str(message["status"]))
            await send(message)

        return sending


def _address(scope: Connection) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "(none)"


def _presented(given: list[bytes]) -> bytes:
    """Return the key of an Authorization header.

    Raises:
        DeniedError: There are several headers, or it has another form.
    """
    kind, _, credentials = given[0].partition(b" ")
    if len(given) == 1 and kind.lower() == b"bearer":
        return credentials.strip()
    if len(given) == 1 and kind.lower() == b"basic":
        try:
            return base64.b64decode(credentials, validate=True).partition(b":")[2]
        except binascii.Error:
            pass
    raise DeniedError(reason="ambiguous")
