"""The scope of every endpoint, and which of them a request is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.routing import compile_path

from headrace.access.scopes import Scope

#: Endpoints that need no key: they say no more than that the process lives, or can predict.
OPEN = None
#: Method and route -> scope. Every endpoint has a line here (tests/api/test_api_scopes.py).
ROUTE_SCOPES: Mapping[tuple[str, str], Scope | None] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/ping"): OPEN,
    ("GET", "/readyz"): OPEN,  # without a key of scope `read` only its status and `ready`
    ("POST", "/predict"): Scope.PREDICT,
    ("POST", "/predict/batch"): Scope.PREDICT,
    ("POST", "/predict/arrow"): Scope.PREDICT,
    ("POST", "/invocations"): Scope.PREDICT,
    ("POST", "/events"): Scope.EVENTS,
    ("GET", "/problems"): Scope.READ,
    ("GET", "/model"): Scope.READ,
    ("GET", "/example"): Scope.READ,
    ("GET", "/docs"): Scope.READ,
    ("GET", "/openapi.json"): Scope.READ,
    ("GET", "/"): Scope.READ,
    ("GET", "/page.css"): Scope.READ,
    ("GET", "/models/{version}/report"): Scope.READ,
    ("GET", "/metrics"): Scope.METRICS,
    ("POST", "/alerts/{decision}/acknowledge"): Scope.OPERATE,
    ("POST", "/deployments/{name}/run"): Scope.OPERATE,
}
#: Pages for people: a browser that gets this challenge asks for the key.
_PAGES = frozenset({"/", "/docs", "/page.css", "/models/{version}/report"})


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a request needs. scopes: none for an open endpoint. page: whether people open it. route: its pattern."""

    scopes: frozenset[Scope]
    page: bool = False
    route: str = ""


class RouteScopes:
    """Finds the scopes of a request by method and path, as the application finds its endpoint."""

    def __init__(self, scopes: Mapping[tuple[str, str], Scope | None] = ROUTE_SCOPES) -> None:
        needs = {
            line: Need(scopes=_set(scope), page=line[1] in _PAGES, route=line[1]) for line, scope in scopes.items()
        }
        self._exact = {line: need for line, need in needs.items() if "{" not in line[1]}
        self._patterns = [
            (method, compile_path(path)[0], need) for (method, path), need in needs.items() if "{" in path
        ]

    def find(self, method: str, path: str, query: bytes) -> Need | None:
        """Return what a request needs; None where no endpoint takes it."""
        need = self._exact.get((method, path))
        if need is None:
            found = (need for verb, pattern, need in self._patterns if verb == method and pattern.match(path))
            return next(found, None)
        if query and need.scopes == {Scope.PREDICT} and _asks_to_explain(query):
            return Need(scopes=need.scopes | {Scope.EXPLAIN}, route=need.route)
        return need


def _set(scope: Scope | None) -> frozenset[Scope]:
    return frozenset() if scope is None else frozenset({scope})


def _asks_to_explain(query: bytes) -> bool:
    values = [value for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if name == "explain"]
    return any(value != "false" for value in values)
