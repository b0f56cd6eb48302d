"""A webhook on this machine that stands in for the people who are told: it takes alerts and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What was received. url: its Apprise address. refuse: answers 500 instead, and keeps nothing."""

    url: str = ""
    refuse: bool = False
    taken: list[dict[str, Any]] = field(default_factory=list)

    def titles(self) -> list[str]:
        return [str(alert["title"]) for alert in self.taken]


@contextmanager
def receiving(port: int = 0, on_alert: Callable[[dict[str, Any]], None] | None = None) -> Iterator[Receiver]:
    """A receiver while the block runs. port: 0 takes a free one. on_alert: told of each, from a thread of its own."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alert = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not receiver.refuse:
                receiver.taken.append(alert)
                if on_alert is not None:
                    on_alert(alert)
            self.send_response(500 if receiver.refuse else 200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet: what was received is told by whoever asked for it."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        receiver.url = f"json://127.0.0.1:{server.server_address[1]}/alerts"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()
