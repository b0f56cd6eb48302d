"""Answer ordinary requests for predictions without FastAPI: the same answers as its endpoints, in less time.

FastAPI finds the route, builds objects of the body and the answer, and validates both: more work than the prediction.
This middleware takes a request whose body is plain JSON and whose prediction succeeds. Everything else goes on to the
endpoints with the body that was read, as if it had not been looked at: their errors are the only ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.api.bodies import BodyReader
from headrace.api.errors import response_of
from headrace.api.messages import MAX_ROWS, ViewAge
from headrace.api.metrics import Metrics
from headrace.core.clock import iso
from headrace.serving.answers import Answer, AnswerQueue, Version
from headrace.serving.service import Service
from headrace.store.online import Age

_ONE, _SEVERAL = "/predict", "/predict/batch"
_STRICT = {b"": False, b"strict=false": False, b"strict=true": True}
_SCALARS = frozenset({str, int, float, bool, type(None)})
#: Whole numbers from here on may have been read as floating-point numbers: the endpoints read their digits.
_LARGE = 2.0**53
#: Bytes of a body that is taken as it came: less than the limit of bodies (`headrace.api.bodies`).
_SHORT = 512 * 1024
#: Encoded ages in memory.
_MAX_AGES = 1000

Row = dict[str, Any]
#: All answers of a moment have one time.
_iso = lru_cache(maxsize=16)(iso)


class FastPredictions:
    """ASGI middleware in front of the endpoints of predictions.

    Args:
        app: The application with the endpoints.
        service: What answers.
        queue: Answers waiting calls together.
        metrics: Counts predictions and their flags.
        reader: Reads bodies within limits.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: Service,
        queue: AnswerQueue,
        metrics: Metrics,
        reader: BodyReader,
    ) -> None:
        self._app = app
        self._service = service
        self._queue = queue
        self._metrics = metrics
        self._reader = reader
        self._value = "probability" if service.problem.label_expression.binary else "prediction"
        self._routes = {path: SimpleNamespace(path=path) for path in (_ONE, _SEVERAL)}
        self._moment: tuple[int, Version] | None = None
        self._ages: dict[int, tuple[Mapping[str, Age], orjson.Fragment]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        strict = _STRICT.get(scope["query_string"]) if _is_prediction(scope) else None
        if strict is None:
            await self._app(scope, receive, send)
            return
        try:
            body, receive = _arrived(receive)
            if body is None:
                body = await self._reader.read(Request(scope, receive))
        except HTTPException as error:
            await (await response_of(Request(scope), error))(scope, receive, send)
            return
        rows = _rows(body, several=_path(scope) == _SEVERAL)
        answers = None if rows is None else await self._answers(rows, strict)
        if answers is None:
            await self._app(scope, _replayed(body, receive), send)
            return
        self._metrics.count_answers(answers)
        scope["route"] = self._routes[_path(scope)]  # what the metrics count it under
        content = [self._content(answer) for answer in answers]
        await _send(send, orjson.dumps(content[0] if _path(scope) == _ONE else {"predictions": content}))

    async def _answers(self, rows: Sequence[Row], strict: bool) -> list[Answer] | None:
        """Return the answers of a call; None where it is refused or fails, which logs nothing."""
        try:
            now_us, version = self._moment or self._begin_moment()
            call = self._service.predictor.check(rows, now_us=now_us, strict=strict, version=version)
            return await self._queue.answer(call)
        except Exception:
            # The endpoints try again, and report what is wrong then.
            return None

    def _begin_moment(self) -> tuple[int, Version]:
        """Return the clock's time and the champion, for all requests of this turn of the event loop."""
        self._moment = (self._service.now(), self._service.predictor.version())
        asyncio.get_running_loop().call_soon(self._end_moment)
        return self._moment

    def _end_moment(self) -> None:
        self._moment = None

    def _content(self, answer: Answer) -> dict[str, Any]:
        """Return an answer in the form of `messages.prediction_of`."""
        return {
            self._value: answer.value,
            "id": answer.id,
            "model_version": answer.model_version,
            "made_at": _iso(answer.made_us),
            "features": self._encoded_ages(answer.features),
            "flags": answer.flags,
            "reason": answer.reason,
        }

    def _encoded_ages(self, ages: Mapping[str, Age]) -> orjson.Fragment:
        """Encode the ages of a row once: all rows of a moment whose views are alike share their mapping."""
        known = self._ages.get(id(ages))
        if known is None:
            if len(self._ages) >= _MAX_AGES:
                self._ages.clear()
            content = {view: ViewAge.of(age).model_dump() for view, age in ages.items()}
            known = self._ages[id(ages)] = (ages, orjson.Fragment(orjson.dumps(content)))
        return known[1]


def _path(scope: Scope) -> str:
    """Return the path inside the application, which may be mounted below another path."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _is_prediction(scope: Scope) -> bool:
    """Whether a request is a POST of plain JSON to an endpoint of predictions."""
    if scope["type"] != "http" or scope["method"] != "POST" or _path(scope) not in (_ONE, _SEVERAL):
        return False
    names = [name for name, _ in scope["headers"]]
    if b"content-encoding" in names or names.count(b"content-type") != 1:
        return False
    return bool(dict(scope["headers"])[b"content-type"] == b"application/json")


def _rows(body: bytes, *, several: bool) -> list[Row] | None:
    """Return the rows of a body; None for one that the endpoints have to look at.

    orjson takes the last of several values of one name. Names that stand twice leave more quotation marks than the
    parsed rows need; with escaped characters, marks cannot be counted.
    """
    if b"\\" in body:
        return None
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict):
        return None
    rows = content.get("rows") if several else [content]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ROWS or (several and len(content) != 1):
        return None
    texts = int(several)
    for row in rows:
        if not isinstance(row, dict):
            return None
        for value in row.values():
            if type(value) not in _SCALARS or (type(value) is float and abs(value) >= _LARGE):
                return None
            texts += type(value) is str
        texts += len(row)
    return rows if body.count(b'"') == 2 * texts else None


def _arrived(receive: Receive) -> tuple[bytes | None, Receive]:
    """Return a body that has arrived in one piece, and None for one that has to be waited for or comes in pieces.

    Waiting within limits of time and size costs more than a prediction, and short bodies come with their head. So
    `receive` is called, but not awaited: where it would wait, it is closed before it has taken anything.
    """
    waiting = receive()
    try:
        waiting.send(None)  # type: ignore[attr-defined]
    except StopIteration as arrived:
        message: Message = arrived.value
        if message["type"] == "http.request" and not message.get("more_body") and len(message["body"]) <= _SHORT:
            return message["body"], receive
        return None, _given_back(message, receive)
    waiting.close()  # type: ignore[attr-defined]
    return None, receive


def _given_back(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives a message again, and then what else comes."""
    messages = [message]

    async def give() -> Message:
        return messages.pop() if messages else await receive()

    return give


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read, and then what else comes."""
    return _given_back({"type": "http.request", "body": body, "more_body": False}, receive)


async def _send(send: Send, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
