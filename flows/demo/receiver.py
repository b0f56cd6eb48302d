"""A webhook on this machine that receives alerts, and shows them in a browser, newest first."""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """Alerts that the webhook received.

    Attributes:
        url: Its Apprise address.
        refuse: Whether it responds with 500 and records nothing.
        received: The alerts, oldest first.
    """

    url: str = ""
    refuse: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)

    def titles(self) -> list[str]:
        return [str(alert["title"]) for alert in self.received]


@contextmanager
def alert_receiver(port: int = 0, on_alert: Callable[[dict[str, Any]], None] | None = None) -> Iterator[Receiver]:
    """Run the webhook during the block.

    Args:
        port: Where it listens; 0 takes a free port.
        on_alert: Called with each alert, in another thread.
    """
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alert = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not receiver.refuse:
                receiver.received.append(alert)
                if on_alert is not None:
                    on_alert(alert)
            self.send_response(500 if receiver.refuse else 200)
            self.end_headers()

        def do_GET(self) -> None:
            shown = page(receiver.received).encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(shown)))
            self.end_headers()
            self.wfile.write(shown)

        def log_message(self, *args: object) -> None:
            """Log nothing: the caller prints the alerts."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        receiver.url = f"json://127.0.0.1:{server.server_address[1]}/alerts"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()


def page(alerts: Sequence[Mapping[str, Any]]) -> str:
    """Write alerts as an HTML page, newest first."""
    shown = "".join(map(_article, reversed(alerts))) or "<p>Nothing was received yet.</p>"
    head = f"<meta charset=utf-8><title>Alerts</title>{_STYLE}"
    return f"<!doctype html><html lang=en>{head}<h1>Alerts</h1>{shown}</html>"


def _article(alert: Mapping[str, Any]) -> str:
    title, message, kind = (html.escape(str(alert.get(name, ""))) for name in ("title", "message", "type"))
    linked = re.sub(r"https?://[^\s<]+", r'<a href="\g<0>">\g<0></a>', message)
    return f"<article class='{kind}'><h2>{title}</h2><p>{linked}</p></article>"


_STYLE = """<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 56em; margin: 2em auto; padding: 0 1em; color: #222 }
article { border-left: 5px solid #888; background: #f6f6f6; padding: .4em 1em; margin: 1em 0 }
.warning { border-color: #d99000 } .failure { border-color: #c02020 } .success { border-color: #208040 }
h1 { font-size: 1.4em } h2 { font-size: 1.1em; margin: .3em 0 } p { white-space: pre-wrap; overflow-wrap: anywhere }
</style>"""
