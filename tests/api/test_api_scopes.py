"""Every endpoint has a scope, and a key of exactly that scope may call it; no other key may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from headrace.access.scopes import Scope
from headrace.api.access.route_scopes import OPEN, ROUTE_SCOPES, RouteScopes
from tests.api.keyed import Keyed, keyed
from tests.serving_fixtures import ROW

#: Endpoint -> a path that it takes.
_PLACES = {"{version}": "1", "{decision}": "abc", "{name}": "score"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """A server with one key for each scope, named like it."""
    with keyed(tmp_path_factory.mktemp("keyed")) as found:
        for scope in Scope:
            found.key(scope, scope)
        found.key("everything", *Scope)
        yield found


def endpoints(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Method and path of all routes, of included routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if getattr(route, "path", None) and getattr(route, "methods", None):
            yield from ((method, route.path) for method in route.methods if method != "HEAD")
        elif hasattr(inner, "routes"):
            yield from endpoints(inner.routes)
        else:
            raise AssertionError(f"a route of an unknown kind: {route!r}")


def test_every_endpoint_has_a_scope_and_every_scope_an_endpoint(server: Keyed) -> None:
    found = {*endpoints(server.apps["shop"].routes), ("GET", "/problems")}
    assert found == set(ROUTE_SCOPES)
    assert len(found) > 15


def test_an_endpoint_without_a_scope_is_not_reached(server: Keyed) -> None:
    @server.apps["other"].get("/forgotten")
    def forgotten() -> str:
        return "reached"

    assert server.ask("GET", "/problems/other/forgotten", server.texts["everything"]).status_code == 404
    assert server.ask("GET", "/problems/other/forgotten").status_code == 401


@pytest.mark.parametrize(("method", "route"), [line for line, scope in ROUTE_SCOPES.items() if scope is not OPEN])
def test_only_a_key_with_the_scope_reaches_an_endpoint(server: Keyed, method: str, route: str) -> None:
    path = route
    for place, value in _PLACES.items():
        path = path.replace(place, value)
    assert server.ask(method, path).status_code == 401
    for scope in Scope:
        answered = server.ask(method, path, server.texts[scope])
        if scope == ROUTE_SCOPES[method, route]:
            assert answered.status_code not in (401, 403, 429) or answered.json()["error"]["code"] == "wrong_token"
        else:
            assert answered.status_code == 403
            assert answered.json()["error"]["code"] == "wrong_scope"
            assert answered.json()["error"]["found"] == [ROUTE_SCOPES[method, route]]


@pytest.mark.parametrize(
    "query", ["explain=true", "explain=1", "explain=false&explain=true", "strict=true&%65xplain=on"]
)
def test_explanations_need_a_scope_of_their_own(server: Keyed, query: str) -> None:
    both = server.texts.get("both") or server.key("both", Scope.PREDICT, Scope.EXPLAIN)
    assert server.ask("POST", f"/predict?{query}", server.texts["predict"]).status_code == 403
    assert server.ask("POST", f"/predict?{query}", server.texts["explain"]).status_code == 403
    assert server.ask("POST", f"/predict?{query}", both).status_code != 403
    assert server.ask("POST", "/predict?explain=false", server.texts["predict"]).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
@pytest.mark.parametrize("declared", ["application/json", "application/json; charset=utf-8"])
def test_the_fast_path_and_fastapi_demand_the_same(server: Keyed, path: str, declared: str) -> None:
    sent = {"json": dict(ROW) if path == "/predict" else {"rows": [dict(ROW)]}, "headers": {"content-type": declared}}
    assert server.ask("POST", path, server.texts["predict"], **sent).status_code == 200
    assert server.ask("POST", path, **sent).status_code == 401
    assert server.ask("POST", path, server.texts["read"], **sent).status_code == 403


def test_open_endpoints_tell_more_to_a_key_that_reads(server: Keyed) -> None:
    assert server.ask("GET", "/healthz").json() == {"status": "ok"}
    assert server.ask("GET", "/ping").status_code == 200
    assert server.ask("GET", "/readyz").json() == {"ready": True}
    assert server.ask("GET", "/readyz", server.texts["predict"]).json() == {"ready": True}
    assert server.ask("GET", "/readyz", server.texts["read"]).json()["serving"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("POST", "/predict", "/predict"),
        ("GET", "/predict", None),
        ("POST", "/predict/", None),
        ("POST", "//predict", None),
        ("GET", "/models/7/report", "/models/{version}/report"),
        ("GET", "/models/7/8/report", None),
        ("POST", "/deployments/a b/run", "/deployments/{name}/run"),
        ("post", "/predict", None),
    ],
)
def test_paths_are_matched_whole(method: str, path: str, found: str | None) -> None:
    need = RouteScopes().find(method, path, b"")
    assert (need.route if need else None) == found
