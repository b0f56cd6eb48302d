"""`POST /events`: rows of a table, appended to the lake as they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from headrace.api.bodies import BodyReader, json_route
from headrace.api.messages import failures
from headrace.core.clock import iso
from headrace.streaming.gateway import EventGateway, Receipt
from headrace.streaming.rows import MOST_ROWS


class Events(BaseModel):
    """Rows of one table. Columns that are left out are null."""

    model_config = ConfigDict(extra="forbid")

    table: str = Field(description="a table of the problem")
    rows: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_ROWS, description="column -> value")


class Appended(BaseModel):
    """What became of the rows: when they arrived, and the tick from which served features see them."""

    table: str
    rows: int
    arrival: str
    visible_from: str
    batch: str

    @classmethod
    def of(cls, receipt: Receipt) -> Appended:
        """The receipt with instants as texts."""
        return cls(
            table=receipt.table,
            rows=receipt.rows,
            arrival=iso(receipt.arrival_us),
            visible_from=iso(receipt.visible_us),
            batch=receipt.batch,
        )


#: Size of one body, and of all that are still arriving: more than that of predictions, for 10,000 rows.
MAX_EVENT_BYTES, MAX_ARRIVING_BYTES = 16 * 1024 * 1024, 64 * 1024 * 1024


def events_router(gateway: EventGateway) -> APIRouter:
    """Build the endpoint, which starts and stops the gateway with the app."""

    @asynccontextmanager
    async def lifetime(_: Any) -> AsyncIterator[None]:
        gateway.start()
        try:
            yield
        finally:
            await asyncio.to_thread(gateway.stop)

    reader = BodyReader(max_bytes=MAX_EVENT_BYTES, max_arriving_bytes=MAX_ARRIVING_BYTES)
    answers = failures(400, 408, 413, 415, 422, 503)
    router = APIRouter(tags=["events"], lifespan=lifetime, route_class=json_route(reader))

    @router.post("/events", summary="Append rows of a table", responses=answers)
    async def events(body: Events) -> Appended:
        """Append rows to the lake with their arrival; the answer is sent when they are on disk."""
        return Appended.of(await asyncio.wrap_future(gateway.submit(body.table, body.rows)))

    return router
