"""Requests to a Prefect server's API without Prefect's client, which takes seconds to import."""

from __future__ import annotations

import uuid
from datetime import datetime

import httpx

from headrace.core.server_auth import prefect_auth


def csrf_headers(client: httpx.Client, api: str) -> dict[str, str]:
    """Get the headers that a request which changes something must carry; Prefect's own clients do so by themselves.

    Args:
        client: Where to send the request for a token.
        api: Address of the server's API.

    Returns:
        Headers for one or more requests.
    """
    name = uuid.uuid4().hex  # the server revokes a client's token when the same name asks for another
    response = client.get(f"{api}/csrf-token", params={"client": name}).json()
    # A server without this protection returns no token, and checks none.
    return {"prefect-csrf-client": name, "prefect-csrf-token": response.get("token", "")}


def worker_is_online(api: str, *, pool: str, worker: str, since: datetime) -> bool:
    """Whether a worker has sent a heartbeat since an instant: the server calls a stopped one online for 90 s more.

    Args:
        api: Address of the server's API.
        pool: Name of the work pool.
        worker: Name of the worker.
        since: The earliest heartbeat that counts.
    """
    try:
        with httpx.Client(trust_env=False, timeout=2.0, auth=prefect_auth()) as client:
            response = client.post(
                f"{api}/work_pools/{pool}/workers/filter", json={}, headers=csrf_headers(client, api)
            )
            response.raise_for_status()
            heartbeats = [one["last_heartbeat_time"] for one in response.json() if one["name"] == worker]
    except (httpx.HTTPError, ValueError):
        return False
    return any(datetime.fromisoformat(heartbeat) >= since for heartbeat in heartbeats if heartbeat)
