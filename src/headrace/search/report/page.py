"""Write the report of a study: one HTML page with interactive plots, from its trials; works without a network.

The page contains plotly.js once (about 4.5 MB). Equal trials give equal bytes.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.files import write_bytes
from headrace.evaluate.metrics import Metric
from headrace.search.report.charts import cpu_time, history, importance, parallel, racing, slices
from headrace.search.report.transfer import known_configs
from headrace.search.space import Space
from headrace.search.study.study import incumbent
from headrace.search.transfer.known import KnownTrial
from headrace.search.trial import Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STYLE = """
:root{color-scheme:light}html{background:#fff}
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:1200px;margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 0}p{margin:.2rem 0;color:#555}
table{border-collapse:collapse;margin-top:.6rem;font-size:13px}td,th{padding:.25rem .8rem;text-align:left;
border-bottom:1px solid #ddd}td.wide{white-space:pre-wrap;word-break:break-word}
"""
_MAX_FAILURES = 20


def write_report(
    space: Space,
    trials: Sequence[Trial],
    path: Path,
    *,
    metric: Metric,
    title: str,
    importances: Mapping[str, float],
    known: Sequence[KnownTrial] = (),
    note: str = "",
) -> Path:
    """Write the report page of a study.

    Args:
        space: The searched space.
        trials: All trials, by number.
        path: File to write.
        metric: Its direction decides how losses are shown.
        title: Title of the page.
        importances: Parameter -> share, from `plots.importances`.
        known: Trials of the champion's study, from which a retrain started.
        note: What of the champion's study was not used.

    Returns:
        The path.
    """
    sections: list[tuple[str, str, Figure | None]] = [
        ("History", "Each trial by number; the line is the incumbent.", history(trials, metric)),
        (
            "Incumbent over CPU time",
            "Cumulative CPU seconds of the trials. A trial whose process died counts with its wall-clock seconds.",
            cpu_time(trials, metric),
        ),
        (
            "Parallel coordinates",
            "A line for each trial with a loss. Drag along an axis to select the lines that pass there.",
            parallel(space, trials, metric),
        ),
        (
            "Importance",
            "Permutation importance of each parameter in a random forest of the loss.",
            importance(importances),
        ),
        ("Slices", "Each parameter against the metric, where it is active.", slices(space, trials, metric)),
        (
            "Racing",
            "Trials that continued after each rung, and those that were stopped there.",
            racing(trials),
        ),
    ]
    body = [f"<h1>{html.escape(title)}</h1>", _summary(trials, metric)]
    first = True
    for number, (heading, caption, figure) in enumerate(sections):
        body.append(f"<h2>{heading}</h2><p>{caption}</p>")
        if figure is None:
            body.append("<p><em>Nothing to show in this study.</em></p>")
            continue
        body.append(_embedded(figure, f"plot-{number}", script=first))
        first = False
    body += [_known(known, note, trials, metric), _incumbent(trials), _failures(trials)]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    write_bytes(path, page.encode())
    return path


def _embedded(figure: Figure, name: str, *, script: bool) -> str:
    """Return a figure as HTML under a fixed id; the first one includes plotly.js."""
    return str(
        figure.to_html(
            full_html=False, include_plotlyjs=script, div_id=name, config={"displaylogo": False, "responsive": True}
        )
    )


def _summary(trials: Sequence[Trial], metric: Metric) -> str:
    counts = {status: sum(trial.status == status for trial in trials) for status in ("ok", "stopped", "failed")}
    parts = [
        f"{len(trials)} trials",
        f"{counts['ok']} complete",
        f"{counts['stopped']} stopped",
        f"{counts['failed']} failed",
        f"{sum(trial.seconds for trial in trials):.1f} s in trials",
    ]
    best = incumbent(trials)
    if best is not None and best.loss is not None:
        parts.append(f"best {html.escape(metric.name)} {-metric.sign * best.loss:.5g} (trial {best.number})")
    return f"<p>{', '.join(parts)}</p>"


def _known(known: Sequence[KnownTrial], note: str, trials: Sequence[Trial], metric: Metric) -> str:
    if not known and not note:
        return ""
    head = "<h2>From the champion's study</h2>"
    text = f"<p>{html.escape(note)}</p>" if note else ""
    if known:
        text += f"<p>The searcher knew {len(known)} trials of that study. These configs are of it.</p>"
    rows = [
        (one.trial, f"{one.rank} of {len(known)}", _number(one.earlier), _number(one.value))
        for one in known_configs(known, trials, metric)
    ]
    name = metric.name
    return head + text + (_table(("trial", "rank there", f"{name} there", f"{name} here"), rows) if rows else "")


def _number(value: float | None) -> str:
    return "stopped" if value is None else f"{value:.5g}"


def _incumbent(trials: Sequence[Trial]) -> str:
    best = incumbent(trials)
    if best is None:
        return ""
    rows = {**best.config, **{name: value for name, value in best.info.items() if name != "rungs"}}
    return f"<h2>The incumbent: trial {best.number}</h2>{_table(('', 'value'), [*rows.items()])}"


def _failures(trials: Sequence[Trial]) -> str:
    failed = [trial for trial in trials if trial.status == "failed"]
    if not failed:
        return ""
    lines = [(trial.number, (trial.error.strip().splitlines() or [""])[-1]) for trial in failed[:_MAX_FAILURES]]
    more = f"<p>and {len(failed) - len(lines)} more</p>" if len(failed) > len(lines) else ""
    return f"<h2>Failures</h2>{_table(('trial', 'why'), lines)}{more}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>" + "".join(f'<td class="wide">{html.escape(_text(cell))}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{lines}</table>"


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
