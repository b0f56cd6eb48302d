"""`feast serve`: the application that it starts answers with the values that the prediction API reads."""

from __future__ import annotations

import asyncio
import warnings

import httpx
import pytest

from headrace.core.clock import DAY
from headrace.store.materialise import materialise
from headrace.store.online import OnlineStore
from headrace.store.publish import publish
from headrace.store.repo import open_store
from tests.store.world import START, World, features

pytestmark = pytest.mark.slow


def test_feast_serve_gives_what_serving_reads(world: World) -> None:
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, START + 5 * DAY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Feast's use of FastAPI
        from feast.feature_server import get_app

        application = get_app(open_store(world.root))
    request = {"feature_service": "harbour__all", "entities": {"boat": ["anna", "bert"], "berth": [2**40, 2**40]}}

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://feast") as client:
            return await client.post("/get-online-features", json=request)

    answer = asyncio.run(ask()).json()
    names = answer["metadata"]["feature_names"]
    found = {name: column["values"] for name, column in zip(names, answer["results"], strict=True)}
    keys = [{"boat": boat, "berth": 2**40} for boat in ("anna", "bert")]
    rows = OnlineStore(world.root, world.problem).read("all", keys, START + 5 * DAY)
    for at, row in enumerate(rows):
        assert {name: found[name][at] for name in row.values} == row.values
