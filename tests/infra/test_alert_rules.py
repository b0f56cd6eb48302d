"""Alert rules and dashboards: every query parses, and names only metrics and labels that the API exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from headrace.api.metrics import Meters, Metrics
from headrace.api.state_metrics import ProblemState
from headrace.prediction_log.journal import PredictionJournal
from headrace.serving.answers import Answer
from headrace.serving.batch_times import BatchClock
from headrace.serving.follow import RefusedVersion
from headrace.telemetry.flow_runs import recorded_run
from tests.api.served import serving
from tests.serving_fixtures import NOW, write_store

INFRA = Path(__file__).parents[2] / "infra"
RULES = yaml.safe_load((INFRA / "prometheus" / "rules.yml").read_text())["groups"]
DASHBOARDS = sorted((INFRA / "grafana" / "dashboards").glob("*.json"))
#: Labels that Prometheus adds, and its own metric of a target.
OWN_LABELS, OWN_METRICS = {"job", "instance"}, {"up"}
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ")


def _panels(board: Any) -> Iterator[Any]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def _queries() -> Iterator[tuple[str, str]]:
    for group in RULES:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for path in DASHBOARDS:
        for panel in _panels(json.loads(path.read_text())):
            for target in panel.get("targets", ()):
                yield f"{path.stem}: {panel['title']}", target["expr"].replace("$__rate_interval", "5m")


QUERIES = list(_queries())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Sample name -> labels, of an API in which everything has happened once."""
    root = tmp_path_factory.mktemp("home")
    write_store(root)
    service = serving(root, log=PredictionJournal(root, "shop"))
    service.ledger.promote("1", None, "first", {}, NOW)
    service.follower.refresh()
    service.follower._refused = RefusedVersion(version="2", sequence=2, reason="damaged", at_s=0.0)
    with recorded_run(root, "shop", "pipeline", "r", lambda: NOW):
        pass
    (root / "predictions").mkdir(exist_ok=True)
    meters = Meters()
    meters.add_state(ProblemState(service=service, queued_rows=lambda: 0, root=root, wall_us=lambda: NOW))
    unreadable = serving(root / "other")
    (root / "other" / "outbox").mkdir(parents=True)
    (root / "other" / "outbox" / "shop.db").write_bytes(b"no database")
    meters.add_state(ProblemState(service=unreadable, queued_rows=lambda: 0, root=root / "other", wall_us=lambda: NOW))
    metrics = Metrics("shop", meters)
    metrics.count_request("/predict", 500, 0.1)
    metrics.count_answers([Answer(id="a", value=0.5, model_version="1", made_us=NOW, flags=("lead_time_unusual",))])
    clock = BatchClock()
    clock.step_ended()
    clock.step_ended()
    metrics.observe_batch([], clock.times())
    found: dict[str, set[str]] = {}
    for line in meters.exposition().decode().splitlines():
        if sample := _SAMPLE.match(line):
            found.setdefault(sample[1], set()).update(re.findall(r"(\w+)=", sample[2] or ""))
    return found


def _selectors(node: Any) -> Iterator[Any]:
    """The selectors of a query, and of everything inside it."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        if getattr(node, name, None) is not None:
            yield from _selectors(getattr(node, name))
    for argument in getattr(node, "args", None) or ():
        yield from _selectors(argument)


def _grouped(node: Any) -> Iterator[str]:
    """The labels that the aggregations of a query keep."""
    modifier = getattr(node, "modifier", None)
    if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
        yield from modifier.labels
    for name in ("lhs", "rhs", "expr"):
        if getattr(node, name, None) is not None:
            yield from _grouped(getattr(node, name))
    for argument in getattr(node, "args", None) or ():
        yield from _grouped(argument)


def test_there_are_dashboards_and_rules() -> None:
    assert len(DASHBOARDS) == 2
    assert len(QUERIES) > 30


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_names_what_is_exported(where: str, query: str, exported: dict[str, set[str]]) -> None:
    tree = promql_parser.parse(query)
    selectors = list(_selectors(tree))
    assert selectors, query
    labels = set(OWN_LABELS)
    for selector in selectors:
        if selector.name in OWN_METRICS:
            continue
        assert selector.name in exported, f"{where}: {selector.name}"
        known = exported[selector.name] | OWN_LABELS
        assert {matcher.name for matcher in selector.matchers.matchers} <= known
        labels |= known
    assert set(_grouped(tree)) <= labels


def test_every_gauge_of_the_state_is_on_a_dashboard_or_in_a_rule(exported: dict[str, set[str]]) -> None:
    named = {selector.name for _, query in QUERIES for selector in _selectors(promql_parser.parse(query))}
    unused = {
        name for name in exported
        if name not in named and not name.endswith(("_created", "_sum", "_count", "_bucket"))
    }  # fmt: skip
    assert unused <= {"headrace_production_clock_seconds", "headrace_feature_materialised_timestamp_seconds",
                      "headrace_flow_last_run_timestamp_seconds"}  # fmt: skip


def test_the_table_of_metrics_is_complete(exported: dict[str, set[str]]) -> None:
    from headrace.api import metrics, state_metrics

    documented = set(re.findall(r"\| (headrace_\w+) ", f"{metrics.__doc__}\n{state_metrics.__doc__}"))
    names = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in exported}
    names = {f"{name}_total" if f"{name}_total" in exported else name for name in names}
    assert names == documented


def test_a_rule_says_how_urgent_it_is_and_what_to_do() -> None:
    for group in RULES:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert set(rule["annotations"]) == {"summary", "action"}
