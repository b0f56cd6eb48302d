"""The routes of the page: the page itself, its style sheet, model reports, and two forms that change something.

A GET changes nothing. A form is a POST that carries the page's token (`csrf`), answered by a redirect to the page with
the name of a message; other origins are refused before (`core.guard`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from headrace.api.bodies import BodyReader
from headrace.api.errors import RequestRefused
from headrace.api.page.csrf import COOKIE, FIELD, FormTokens, new_key
from headrace.api.page.facts import FactReader
from headrace.api.page.links import Links
from headrace.api.page.prefect import start_run
from headrace.api.page.render import Message, render_message, render_page, style_sheet
from headrace.core.errors import HeadraceError
from headrace.monitor.policy.decision import Acknowledgement
from headrace.serving.reports import report_file
from headrace.serving.service import Service

_MAX_FORM_BYTES = 16 * 1024
_FORM = "application/x-www-form-urlencoded"
_OWN_FILES = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'"
_STANDALONE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
_MESSAGES: Mapping[str, Message] = {
    "acknowledged": Message(text="The alert is acknowledged. Its cause is not reported again until it changes."),
    "started": Message(text="The run is started. It appears below as soon as a worker takes it."),
}


def page_router(
    service: Service, root: Path, links: Links, wall_us: Callable[[], int], *, form_key: bytes | None = None
) -> APIRouter:
    """Build the routes.

    Args:
        service: What answers.
        root: Home folder.
        links: Addresses of the other services.
        wall_us: The wall clock, microseconds UTC, for acknowledgements.
        form_key: Secret of the forms' tokens, which all processes of a server share; a random one where None.
    """
    router = APIRouter(include_in_schema=False)
    reader, tokens, bodies = (
        FactReader(service, root, links),
        FormTokens(form_key or new_key()),
        BodyReader(max_bytes=_MAX_FORM_BYTES),
    )
    problem = service.problem.name

    @router.get("/")
    def page(request: Request, done: str = "") -> Response:
        cookie = request.cookies.get(COOKIE) or tokens.new_cookie()
        body = render_page(
            reader.read(_host(request)),
            service.problem,
            root=root,
            report_file=lambda version: report_file(root, problem, version),
            base=_base(request),
            token=tokens.token(cookie),
            token_field=FIELD,
            message=_MESSAGES.get(done),
        )
        response = HTMLResponse(body, headers={"Content-Security-Policy": _OWN_FILES, "Cache-Control": "no-store"})
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path=_base(request))
        return response

    @router.get("/page.css")
    async def style() -> Response:
        return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "no-cache"})

    @router.get("/models/{version}/report")
    def report(request: Request, version: str) -> Response:
        file = report_file(root, problem, version) if version.isascii() and version.isdigit() else None
        if file is None or not file.exists():
            text = "There is no report of this version. Runs write one for each version that they register."
            return HTMLResponse(render_message("No such report", text, base=_base(request)), status_code=404)
        return FileResponse(file, media_type="text/html", headers={"Content-Security-Policy": _STANDALONE})

    @router.post("/alerts/{decision}/acknowledge")
    async def acknowledge(request: Request, decision: str) -> Response:
        fields = await _form(request, bodies, tokens)
        who = fields.get("who", "").strip()[:80]
        if not who:
            raise RequestRefused(422, "bad_request", "the name is missing", fix="go back and write who you are")
        seen = Acknowledgement(who=who, at_us=wall_us(), note=fields.get("note", "").strip()[:500])
        return await _changed(request, "acknowledged", lambda: reader.outbox.acknowledge(decision, seen))

    @router.post("/deployments/{name}/run")
    async def run(request: Request, name: str) -> Response:
        await _form(request, bodies, tokens)
        return await _changed(request, "started", lambda: start_run(links.prefect, problem, name))

    return router


async def _form(request: Request, bodies: BodyReader, tokens: FormTokens) -> dict[str, str]:
    """Read the fields of a form that our own page sent.

    Raises:
        RequestRefused: It is no form, too large, or its token is not that of our page.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise RequestRefused(415, "not_a_form", "the body is not a form", fix="use the page's own form")
    try:
        fields = dict(parse_qsl((await bodies.read(request)).decode(), max_num_fields=20))
    except ValueError:
        raise RequestRefused(422, "bad_request", "the form cannot be read", fix="use the page's own form") from None
    if not tokens.is_valid(request.cookies.get(COOKIE), fields.get(FIELD)):
        fix = "reload the page and try again: the server was restarted, or the browser refuses its cookie"
        raise RequestRefused(403, "wrong_token", "the form is not from this server's page", fix=fix)
    return fields


async def _changed(request: Request, message: str, change: Callable[[], Any]) -> Response:
    """Do what a form asks for, and lead back to the page; a failure is a page that says why."""
    try:
        await asyncio.to_thread(change)
    except HeadraceError as error:
        text = ". ".join(part for part in (error.what, error.fix) if part)
        return HTMLResponse(render_message("That did not work", text, base=_base(request)), status_code=409)
    return RedirectResponse(f"{_base(request)}?done={message}", status_code=303)


def _base(request: Request) -> str:
    return f"{request.scope.get('root_path', '').rstrip('/')}/"


def _host(request: Request) -> str:
    """The name by which the browser called this server, checked by `HostCheck`; IPv6 in brackets."""
    header = request.headers.get("host", "localhost")
    name, separator, port = header.rpartition(":")
    return name if separator and port.isdigit() else header
