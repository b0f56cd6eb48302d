"""The API of `served`, where it demands keys: two problems, the page, events, and keys of several kinds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headrace.access.audit_log import AuditLog
from headrace.access.denials import Denials
from headrace.access.gate import Gate
from headrace.access.key_file import KeyFile
from headrace.access.key_ring import KeyRing
from headrace.access.keys import Key
from headrace.access.rates import Rate
from headrace.access.scopes import Scope
from headrace.api.access.control import AccessControl
from headrace.api.app import build_app
from headrace.api.events import events_router
from headrace.api.page.links import Links
from headrace.api.page.routes import page_router
from headrace.api.problems import ProblemsApp
from headrace.streaming.gateway import EventGateway
from tests.api.served import TestClient, serving
from tests.serving_fixtures import NOW, PROBLEM, ROW, write_store

WALL_S = 1_700_000_000


@dataclass(kw_only=True)
class Keyed:
    """A server that demands keys. wall_s, clock_s: its clocks, which a test moves on."""

    client: Any
    file: KeyFile
    log: AuditLog
    denials: Denials
    gate: Gate
    apps: dict[str, Any]
    wall_s: float = WALL_S
    clock_s: float = 0.0
    texts: dict[str, str] = field(default_factory=dict)

    def key(self, name: str, *scopes: Scope, **limits: Any) -> str:
        """Make a key that the server knows at once."""
        record = Key(id="", digest="", name=name, scopes=frozenset(scopes), created_s=WALL_S, **limits)
        self.texts[name] = self.file.create(record)[1]
        self.clock_s += 1.0
        return self.texts[name]

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> Any:
        """Send a request with a key; POST sends a row to predict where it is given nothing else."""
        headers = {**({"authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
        if method == "POST" and not {"json", "content", "data"} & set(options):
            options["json"] = dict(ROW)
        return self.client.request(method, path, headers=headers, **options)

    def audited(self) -> list[tuple[str, str, str]]:
        """Who, action and result of all lines of the audit log; nothing is written after that."""
        self.denials.close()
        self.log.verify()
        return [(entry.who, entry.action, entry.result) for entry in self.log.entries()]


@contextmanager
def keyed(root: Path, *, key_rate: str | None = None, address_rate: str | None = None) -> Iterator[Keyed]:
    """Problem `shop` at the root, with page and events, and below /problems beside `other`, which is the same."""
    write_store(root)
    service = serving(root)
    service.ledger.promote("1", None, "beats the baseline", {"auc": 0.78}, NOW)
    service.follower.refresh()
    file, log = KeyFile(path=root / "access" / "keys.json"), AuditLog(root)
    rates = {"key_rate": key_rate, "address_rate": address_rate}
    gate = Gate(
        ring=KeyRing(file, clock_s=lambda: found.clock_s),
        clock_s=lambda: found.clock_s,
        wall_s=lambda: found.wall_s,
        **{name: rate and Rate.parse(rate, where=name) for name, rate in rates.items()},  # type: ignore[arg-type]
    )
    control = AccessControl(gate=gate, denials=Denials(log, lambda: int(found.wall_s * 1e6)))
    app = build_app(service, example=lambda: dict(ROW), access=control)
    app.include_router(events_router(EventGateway(root, PROBLEM)))
    app.include_router(page_router(service, root, Links(), lambda: WALL_S))
    other = replace(serving(root), problem=replace(PROBLEM, name="other"))
    apps = {"shop": app, "other": build_app(other, access=control)}
    client = TestClient(ProblemsApp(apps, access=control), raise_server_exceptions=False, base_url="http://localhost")
    found = Keyed(client=client, file=file, log=log, denials=control.denials, gate=gate, apps=apps)
    try:
        with client:
            yield found
    finally:
        control.denials.close()
