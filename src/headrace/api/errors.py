"""Convert errors to HTTP responses: clients see what is wrong with their request, but no paths of the server."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from headrace.core.errors import (
    ConflictError,
    CorruptError,
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
    ConflictError: (409, "conflict"),
    NotFoundError: (503, "unavailable"),  # requests name nothing of ours: a file that should be there is not
    UnavailableError: (503, "unavailable"),
}
_MAX_LENGTH = 200


class RequestRefused(HTTPException):
    """A request that is refused before validation by the problem.

    close: end the connection with the response, because the rest of the request is not read.
    """

    def __init__(
        self, status: int, code: str, what: str, *, found: Iterable[object] = (), fix: str = "", close: bool = False
    ) -> None:
        super().__init__(status, what, {"Connection": "close"} if close else None)
        self.code = code
        self.found = tuple(found)
        self.fix = fix


def add_error_handlers(app: FastAPI) -> None:
    """Answer the errors of an app in the form of `messages.Failure`; `unexpected` answers those nobody foresaw."""
    app.add_exception_handler(HeadraceError, _headrace_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def response_of(request: Request, error: HTTPException) -> JSONResponse:
    """Return the response to a request that is refused, for middleware that answers it itself."""
    return await _http(request, error)


def failure(
    status: int,
    code: str,
    what: str,
    *,
    where: str = "",
    found: Iterable[object] = (),
    fix: str = "",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an error response whose texts are truncated to a readable length."""
    listed = [_truncated(item) for _, item in zip(range(20), found, strict=False)]
    error = {
        "code": code,
        "what": _truncated(what),
        "where": _truncated(where),
        "found": listed,
        "fix": _truncated(fix),
    }
    return JSONResponse({"error": error}, status, headers)


def _truncated(item: object) -> str:
    """Truncate a text and escape lone surrogates, which cannot be encoded as UTF-8."""
    return str(item)[:_MAX_LENGTH].encode("utf-8", "backslashreplace").decode("utf-8")


async def _headrace_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadraceError)
    if isinstance(error, CorruptError):
        return _damaged(request, error)
    for kind, (status, code) in _STATUS.items():
        if isinstance(error, kind):
            if "/" in error.where:  # a file of ours
                return failure(status, code, error.what, fix=_incident(request, error))
            return failure(status, code, error.what, where=error.where, found=error.found, fix=error.fix)
    return await unexpected(request, error)


def _damaged(request: Request, error: CorruptError) -> JSONResponse:
    """Answer where a file of the server is damaged; the log has the full error for the operator."""
    incident = _incident(request, error)
    return failure(503, "unavailable", "a file that answers are made from is damaged", fix=incident)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong with a body, in one sentence."""
    assert isinstance(error, RequestValidationError)
    first_error = error.errors()[0]
    path = [str(part) for part in first_error["loc"] if part != "body"]
    if first_error["type"] == "missing" and not path:
        return failure(422, "bad_request", "the body is empty", fix="send a JSON object")
    if first_error["type"] in ("dict_type", "model_attributes_type") and not path:
        return failure(422, "bad_request", "the body is not a JSON object", fix="send a JSON object")
    return failure(422, "bad_request", str(first_error["msg"]), where=".".join(path))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, RequestRefused):
        found, fix = error.found, error.fix
        return failure(error.status_code, error.code, error.detail, found=found, fix=fix, headers=error.headers)
    codes = {404: "not_found", 405: "method_not_allowed"}
    fix = "see /docs for the endpoints" if error.status_code in codes else ""
    code = codes.get(error.status_code, "refused")
    return failure(error.status_code, code, str(error.detail), fix=fix, headers=error.headers)


async def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Return the response to a request that failed for a reason that nobody foresaw; the log has the full error."""
    return failure(500, "internal", "something went wrong here", fix=_incident(request, error))


def _incident(request: Request, error: Exception) -> str:
    """Log an error in full, and say where."""
    incident = uuid.uuid4().hex[:12]
    _log.error("incident %s at %s", incident, request.url.path, exc_info=error)
    return f"the server's log has it as incident {incident}"
