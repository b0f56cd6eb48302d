"""The report of a replay: one HTML page with interactive plots that works without a network."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.clock import iso
from headrace.core.files import write_bytes
from headrace.replay.report.charts import losses_by_retrains, saved_by_period
from headrace.replay.result import ReplayResult
from headrace.replay.walk import Walk

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:1200px;margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 0}p{margin:.2rem 0;color:#555}
table{border-collapse:collapse;margin-top:.6rem;font-size:13px}td,th{padding:.25rem .8rem;text-align:left;
border-bottom:1px solid #ddd}
"""


def write_page(result: ReplayResult, path: Path) -> Path:
    """Write the report of a replay.

    Args:
        result: The replay.
        path: File to write.

    Returns:
        The path.
    """
    title = f"{result.problem}: when to retrain"
    chosen = next(walk for walk in result.walks if walk.name == result.recommendation.name)
    body = [
        f"<h1>{html.escape(title)}</h1><p>{html.escape(result.period)}</p>",
        *(f"<p>{html.escape(line)}</p>" for line in result.conclusions()),
        "<h2>Policies</h2><p>Gain: loss of a row saved against never to retrain, with its 90 % interval. Cost: losses "
        "and retrains together, in weeks of the first champion's loss.</p>",
        _table(result.rows()),
        "<h2>Loss against retrains</h2>" + _embedded(losses_by_retrains(result), "losses", script=True),
        "<h2>Saved over time</h2>" + _embedded(saved_by_period(result), "saved", script=False),
        f"<h2>Decisions of {html.escape(chosen.name)}</h2>" + _table(_decisions(chosen)),
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    write_bytes(path, page.encode())
    return path


def _decisions(walk: Walk) -> list[dict[str, str]]:
    return [
        {"end of the period": iso(step.at_us)[:10], "decision": step.kind, "reason": step.reason} for step in walk.steps
    ]


def _table(rows: list[dict[str, str]]) -> str:
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    lines = ["".join(f"<td>{html.escape(value)}</td>" for value in row.values()) for row in rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _embedded(figure: Figure, name: str, *, script: bool) -> str:
    text: str = figure.to_html(full_html=False, include_plotlyjs=script, div_id=name)
    return text
