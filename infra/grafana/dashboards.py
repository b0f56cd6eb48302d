"""Write the dashboards of infra/grafana/dashboards as JSON, with Grafana's own builders: `make dashboards`.

A dashboard is a list of rows, a row a list of panels, a panel one or more queries. Variables: the data source, and the
problems that are shown. Gauges that every API process reads from the same home folder are joined with `max`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import TimeZoneUtc
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

FOLDER = Path(__file__).parent / "dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
#: Width of the grid, in Grafana's units.
_COLUMNS = 24
_HEIGHT = 8


@dataclass(frozen=True)
class Panel:
    """A plot over time. queries: legend -> PromQL. description: what a reader should do about it."""

    title: str
    unit: str
    queries: dict[str, str]
    description: str


P = '{problem=~"$problem"}'


def _quantile(quantile: float, metric: str, by: str) -> str:
    return f"histogram_quantile({quantile}, sum by (le, problem, {by}) (rate({metric}_bucket{P}[$__rate_interval])))"


SERVING: dict[str, list[Panel]] = {
    "Requests": [
        Panel("Requests", "reqps", {
            "{{problem}} {{path}}": f"sum by (problem, path) (rate(headrace_requests_total{P}[$__rate_interval]))",
        }, "Answered requests by endpoint."),
        Panel("Errors", "percentunit", {
            "{{problem}} {{status}}":
                f"sum by (problem, status) (rate(headrace_errors_total{P}[$__rate_interval])) "
                f"/ on (problem) group_left sum by (problem) (rate(headrace_requests_total{P}[$__rate_interval]))",
        }, "Part of the requests that were answered by an error. 4xx: clients; 5xx: look at /readyz and the log."),
        Panel("Time of a prediction", "s", {
            "p50 {{problem}}": _quantile(0.5, "headrace_request_seconds", "path"),
            "p99 {{problem}} {{path}}": _quantile(0.99, "headrace_request_seconds", "path"),
        }, "To the end of the answer, as the server sees it."),
    ],
    "Predictions": [
        Panel("Predicted rows", "rowsps", {
            "{{problem}} version {{version}}":
                f"sum by (problem, version) (rate(headrace_predictions_total{P}[$__rate_interval]))",
        }, "By the version that answered: two versions at once are a swap or a canary."),
        Panel("Steps of a batch, p99", "s", {
            "{{problem}} {{step}}": _quantile(0.99, "headrace_batch_seconds", "step"),
        }, "read: stored features; score: inputs and model; log: the write of the prediction log."),
        Panel("Rows of a batch", "short", {
            "mean {{problem}}":
                f"sum by (problem) (rate(headrace_batch_rows_sum{P}[$__rate_interval])) / "
                f"sum by (problem) (rate(headrace_batch_rows_count{P}[$__rate_interval]))",
            "waiting {{problem}}": f"sum by (problem) (headrace_queue_rows{P})",
        }, "Rows that are predicted and logged together, and rows that wait. A queue that grows: too few processes."),
        Panel("Flags", "rowsps", {
            "{{problem}} {{flag}} {{column}}":
                f"sum by (problem, flag, column) (rate(headrace_flags_total{P}[$__rate_interval]))",
        }, "What was unusual about requests: unknown fields, unseen categories, unusual lead times."),
    ],
    "Model and features": [
        Panel("Age of the champion", "s", {
            "{{problem}} version {{version}}": f"max by (problem, version) (headrace_champion_age_seconds{P})",
        }, "Since its promotion, on the production clock."),
        Panel("Version that answers", "short", {
            "{{problem}} version {{version}}": f"sum by (problem, version) (headrace_champion{P})",
            "{{problem}} refused {{version}}": f"sum by (problem, version) (headrace_champion_refused{P})",
        }, "Number of processes by version. More than one version for longer than seconds: a process does not follow."),
        Panel("Age of the features", "s", {
            "{{problem}} {{view}}": f"max by (problem, view) (headrace_feature_age_seconds{P})",
        }, "Since the last refresh of each view, on the production clock."),
    ],
}  # fmt: skip

OPERATIONS: dict[str, list[Panel]] = {
    "Flows": [
        Panel("Since the last completed run", "s", {
            "{{problem}} {{flow}}":
                f"time() - max by (problem, flow) (headrace_flow_last_success_timestamp_seconds{P})",
        }, "Wall clock. A line that climbs: its deployment is paused, its worker is away, or its runs fail."),
        Panel("Last run completed", "bool_yes_no", {
            "{{problem}} {{flow}}": f"min by (problem, flow) (headrace_flow_last_run_completed{P})",
        }, "0: the last run failed or was interrupted; Prefect's page of the run says why."),
        Panel("Length of the last run", "s", {
            "{{problem}} {{flow}}": f"max by (problem, flow) (headrace_flow_last_run_seconds{P})",
        }, "Finished stages are cached, so most runs are short."),
    ],
    "Monitoring": [
        Panel("Alerts that nobody has acknowledged", "short", {
            "{{problem}} {{kind}}": f"max by (problem, kind) (headrace_alerts_open{P})",
        }, "Acknowledge them on the page or with `headrace alerts ack`."),
        Panel("Outbox", "short", {
            "undelivered alerts {{problem}}": f"max by (problem) (headrace_alerts_undelivered{P})",
            "open retrains {{problem}}": f"max by (problem) (headrace_retrains_open{P})",
            "aliases to write {{problem}}": f"max by (problem) (headrace_ledger_aliases_pending{P})",
        }, "What is decided and not yet done."),
        Panel("Oldest entry of the outbox", "s", {
            "{{problem}}": f"max by (problem) (headrace_outbox_oldest_seconds{P})",
        }, "The flow `reconcile` takes it up every five minutes."),
    ],
    "State": [
        Panel("Ready processes", "short", {
            "{{problem}}": f"sum by (problem) (headrace_ready{P})",
        }, "API processes that have a version to answer with."),
        Panel("Views that are fresh", "percentunit", {
            "{{problem}}": f"avg by (problem) (headrace_feature_fresh{P})",
        }, "Part of the views whose last refresh is at most two ticks old."),
        Panel("What cannot be read", "short", {
            "{{problem}} {{what}}": f"max by (problem, what) (headrace_unreadable{P})",
        }, "Damaged or missing files; the server's log names them."),
    ],
}  # fmt: skip

DASHBOARDS = {
    "headrace-serving": ("Headrace: serving", SERVING),
    "headrace-operations": ("Headrace: operations", OPERATIONS),
}


def build(uid: str, title: str, rows: dict[str, list[Panel]]) -> str:
    """Return the JSON of a dashboard."""
    board = (
        dashboard.Dashboard(title).uid(uid).tags(["headrace"]).refresh("30s").time("now-6h", "now")
        .timezone(TimeZoneUtc)
        .with_variable(dashboard.DatasourceVariable("source").label("Data source").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("problem").label("Problem").datasource(_SOURCE)
            .query("label_values(headrace_ready, problem)").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True).include_all(True)
        )
    )  # fmt: skip
    for name, panels in rows.items():
        board = board.with_row(dashboard.Row(name))
        for panel in panels:
            board = board.with_panel(_built(panel, _COLUMNS // len(panels)))
    return json.dumps(board.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _built(panel: Panel, width: int) -> timeseries.Panel:
    built = timeseries.Panel().title(panel.title).description(panel.description).unit(panel.unit).min(0)
    built = built.datasource(_SOURCE).span(width).height(_HEIGHT)
    for position, (legend, query) in enumerate(panel.queries.items()):
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id("ABCDEF"[position])
        built = built.with_target(target)
    return built


def main() -> int:
    """Write the dashboards."""
    FOLDER.mkdir(exist_ok=True)
    for uid, (title, rows) in DASHBOARDS.items():
        (FOLDER / f"{uid}.json").write_text(build(uid, title, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
