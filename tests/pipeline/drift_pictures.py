"""Make docs/images/drift-alert.png and drift-report.png: `python -m tests.pipeline.drift_pictures` (needs Chromium).

The shop of `turned`, with 80 orders a day and costs of wrong decisions, is lived through until a retrain is due. The
alerts are those that a webhook receives; the report is Evidently's page, as `make up` serves it.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

from headrace.access.outbound import parse_networks
from headrace.monitor.alerts.delivery import deliver
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.monitoring.monitor_window import draw, monitor_window
from headrace.pipeline.operations.retraining import retrain
from tests.pipeline.shop import Shop
from tests.pipeline.turned import TURNS, context_of, live, look, wall_us
from tests.tiny_problem import write_tiny_problem

IMAGES = Path(__file__).parents[2] / "docs" / "images"
_COSTS = 'costs=Costs(false_positive=8, false_negative=12, currency="EUR"),'
_COLOURS = {"success": "#27804a", "warning": "#c98a1b", "failure": "#b03030", "info": "#2c5f8a"}


class _Webhook(BaseHTTPRequestHandler):
    received: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _world(folder: Path) -> Shop:
    path = write_tiny_problem(folder / "problem", orders=4800, replayed_days=1, turns=TURNS)
    text = path.read_text().replace("import EntitySet", "import Costs, EntitySet")
    path.write_text(text.replace("    trials=4,", f"    trials=4,\n    {_COSTS}"))
    shop = Shop(path=path, home=folder / "home")
    shop.finish()
    live(context_of(shop), 4)
    look(context_of(shop))
    live(context_of(shop), 5)
    return shop


def _alerts_page(alerts: list[dict[str, str]]) -> str:
    blocks = []
    for alert in reversed(alerts):
        body = re.sub(r"(https?://\S+)", r'<a href="\1">\1</a>', html.escape(alert["message"]))
        colour = _COLOURS.get(alert["type"], "#777777")
        blocks.append(
            f'<div style="border-left:5px solid {colour};background:#f5f5f5;padding:10px 15px;margin-bottom:15px">'
            f'<b>{html.escape(alert["title"])}</b><p style="white-space:pre-wrap">{body}</p></div>'
        )
    style = "font:15px/1.45 DejaVu Sans,sans-serif;color:#222;margin:30px 80px;overflow-wrap:anywhere"
    return f'<body style="{style}"><h2 style="font-size:20px">Alerts</h2>{"".join(blocks)}</body>'


def _screenshot(address: str, image: Path, width: int, height: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("no Chromium here")
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}"]
        options = [f"--window-size={width},{height}", "--virtual-time-budget=30000", f"--screenshot={image}"]
        subprocess.run([*command, *options, address], check=True, capture_output=True, timeout=300)


def main() -> None:
    """Make both pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="headrace-pictures-"))
    shop = _world(folder)
    context, outbox = context_of(shop), Outbox(shop.home, "shop")
    webhook = HTTPServer(("127.0.0.1", 0), _Webhook)
    threading.Thread(target=webhook.serve_forever, daemon=True).start()
    local = parse_networks("127.0.0.0/8", where="drawing")
    port, urls = _free_port(), [f"json://127.0.0.1:{webhook.server_port}/"]
    pages = f"http://127.0.0.1:{port}"
    report = monitor_window(context, now_us=wall_us(), links={"Evidently": pages})
    deliver(outbox, urls, now_us=wall_us(), networks=local)
    draw(context, report)
    retrain(context, report.decision.id, holder="pictures", now_us=wall_us)
    deliver(outbox, urls, now_us=wall_us(), networks=local, at_once=True)
    (folder / "alerts.html").write_text(_alerts_page(_Webhook.received))
    _screenshot((folder / "alerts.html").as_uri(), IMAGES / "drift-alert.png", 1000, 1230)
    environment = {**os.environ, "HEADRACE_HOME": str(shop.home)}
    command = [sys.executable, "-m", "headrace.monitor.report.server", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(pages + "/api/version")
        _screenshot(report.decision.links["report"], IMAGES / "drift-report.png", 1300, 1100)
    finally:
        server.terminate()
        server.wait()
    print(f"{folder}: {len(_Webhook.received)} alerts")


def _wait_for(address: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"{address} does not answer")


if __name__ == "__main__":
    main()
