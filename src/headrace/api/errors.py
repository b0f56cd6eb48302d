"""Errors as HTTP answers, in this one place: clients see what is wrong with their request, never our paths."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from headrace.core.errors import (
    ConflictError,
    DataError,
    DeclarationError,
    HeadraceError,
    NotFoundError,
    UnavailableError,
)

_log = logging.getLogger(__name__)

_STATUS: Mapping[type[HeadraceError], tuple[int, str]] = {
    DataError: (422, "bad_request"),
    DeclarationError: (422, "bad_request"),
    NotFoundError: (404, "not_found"),
    ConflictError: (409, "conflict"),
    UnavailableError: (503, "unavailable"),
}
_LONGEST = 200


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of an app in the form of `messages.Failure`."""
    app.add_exception_handler(HeadraceError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def failure(status: int, code: str, what: str, **more: Any) -> JSONResponse:
    """One error answer."""
    return JSONResponse({"error": {"code": code, "what": what, "where": "", "found": [], "fix": "", **more}}, status)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadraceError)
    for kind, (status, code) in _STATUS.items():
        if isinstance(error, kind):
            found = [str(item)[:_LONGEST] for item in error.found[:20]]
            return failure(status, code, error.what, where=error.where[:_LONGEST], found=found, fix=error.fix)
    return await _unexpected(request, error)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with a body, in one sentence."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part != "body"]
    if first["type"] == "json_invalid":
        detail = f"{first['ctx']['error']}, at character {first['loc'][-1]}"
        return failure(422, "bad_request", f"the body is not valid JSON: {detail}"[:_LONGEST])
    if first["type"] == "missing" and not place:
        return failure(422, "bad_request", "the body is empty", fix="send a JSON object")
    if first["type"] in ("dict_type", "model_attributes_type") and not place:
        fix = "send a JSON object, with Content-Type: application/json"
        return failure(422, "bad_request", "the body is not a JSON object", fix=fix)
    return failure(422, "bad_request", str(first["msg"])[:_LONGEST], where=".".join(place)[:_LONGEST])


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's answer to a body that is not even text
        return failure(422, "bad_request", "the body is not valid JSON", fix="send UTF-8 encoded JSON")
    codes = {404: "not_found", 405: "method_not_allowed"}
    fix = "see /docs for the endpoints" if error.status_code in codes else ""
    return failure(error.status_code, codes.get(error.status_code, "refused"), str(error.detail), fix=fix)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    incident = uuid.uuid4().hex[:12]
    _log.error("incident %s at %s", incident, request.url.path, exc_info=error)
    return failure(500, "internal", "something went wrong here", fix=f"the server's log has it as incident {incident}")
