"""Write the report of a search as one HTML page that works without a network."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from headrace.automl.engine import Outcome
from headrace.automl.ensemble.model import TableModel
from headrace.automl.leaderboard import leaderboard
from headrace.automl.report.explanation import explain_model, explainable
from headrace.automl.report.pictures import course, shap_pictures, weights_by_step
from headrace.core.files import write_bytes

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:1100px;margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .3rem}h3{font-size:1rem;margin:1.2rem 0 .2rem}
p{margin:.2rem 0;color:#444}img{max-width:100%}table{border-collapse:collapse;font-size:13px;margin-top:.5rem}
td,th{padding:.25rem .7rem;text-align:left;border-bottom:1px solid #ddd}td.wide{word-break:break-word;max-width:420px}
"""
_SHOWN_ROWS = 40
_CAPTIONS = {
    "beeswarm": "Each dot is a row; its position is the contribution of the column to the prediction.",
    "bar": "Mean absolute contribution of each column.",
    "dependence": "Contribution of the most important column, by its value.",
    "waterfall": "One row: from the mean prediction to its own.",
}
_NO_TIME = "<p>No time for Shapley values.</p>"


def write_page(
    outcome: Outcome, frame: pd.DataFrame, path: Path, *, title: str, notes: Sequence[str], explain_s: float = 20.0
) -> Path:
    """Write the page. It names a picture that cannot be drawn, with the reason, in the place of that picture.

    Args:
        outcome: Result of the search.
        frame: Training rows as users have them, to sample the explained rows from.
        path: File to write.
        title: Title of the page.
        notes: Lines for the user.
        explain_s: Time for Shapley values, about; 0 for none.
    """
    board = leaderboard(outcome)
    plots = _plots(outcome, board)
    body = [
        f"<h1>{html.escape(title)}</h1>",
        _summary(outcome, board),
        _section("Model card", _card(outcome.model.facts)),
        _section("Notes", "".join(f"<p>{html.escape(note)}</p>" for note in notes)),
        _section("Leaderboard", _table(board)),
        _section(
            "Course of the search",
            "<p>Configurations by the time at which they finished. A ring marks a member of the ensemble; a larger "
            f"ring has more weight.</p>{_picture('course', plots['course'])}",
        ),
        _section("Weights", _picture("weights", plots["weights"])),
        *_explanations(outcome, frame, explain_s),
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    write_bytes(path, page.encode())
    return path


def write_plots(outcome: Outcome, folder: Path) -> list[Path]:
    """Write the course of the search and the weights as PNG files; return the paths of those that can be drawn."""
    paths = []
    for name, draw in _plots(outcome, leaderboard(outcome)).items():
        try:
            data = draw()
        except Exception:  # of Matplotlib; the page has the reason
            continue
        paths.append(folder / f"{name}.png")
        write_bytes(paths[-1], data)
    return paths


def _plots(outcome: Outcome, board: pd.DataFrame) -> dict[str, Callable[[], bytes]]:
    metric = str(outcome.model.facts["metric"])
    return {"course": partial(course, board, metric), "weights": partial(weights_by_step, board)}


def _summary(outcome: Outcome, board: pd.DataFrame) -> str:
    facts, best = outcome.model.facts, board.iloc[1]
    text = (
        f"{facts['metric']} {facts['value']:.5g} out of fold, by an ensemble of {len(outcome.model.members)}; the best "
        f"single configuration is a {best['family']} with {best['value']:.5g}. {len(outcome.trials)} configurations in "
        f"{outcome.seconds:.0f} s."
    )
    return f"<p>{html.escape(text)}</p>"


def _explanations(outcome: Outcome, frame: pd.DataFrame, seconds: float) -> list[str]:
    if not explainable():
        return [_section("Explanation", "<p>Install headrace[automl] for Shapley values.</p>")]
    winner = max(outcome.model.members, key=lambda member: member.weight)
    models = {"ensemble": outcome.model}
    if len(outcome.model.members) > 1:
        models[f"heaviest member: {winner.config['family']}, trial {winner.trial}"] = outcome.model.only(winner)
    sections = []
    for name, model in models.items():
        content = _explanation(model, frame, seconds / len(models)) if seconds > 0 else _NO_TIME
        sections.append(_section(f"Explanation of the {name}", content))
    return sections


def _explanation(model: TableModel, frame: pd.DataFrame, seconds: float) -> str:
    try:
        explained = explain_model(model, frame, seconds=seconds)
        if explained is None:
            return _NO_TIME
        pictures = shap_pictures(explained)
    except Exception as error:  # shap meets names and values of any form
        return _missing("Shapley values", error)
    head = f"<p>Shapley values of {len(explained.rows)} rows, in the {html.escape(explained.unit)}.</p>"
    return head + "".join(
        f"<h3>{name}</h3><p>{_CAPTIONS[name]}</p>{_picture(name, draw)}" for name, draw in pictures.items()
    )


def _picture(name: str, draw: Callable[[], bytes]) -> str:
    try:
        return _image(draw())
    except Exception as error:  # Matplotlib meets names and values of any form
        return _missing(f"picture {name}", error)


def _missing(what: str, error: Exception) -> str:
    return f"<p>{what} missing: {html.escape(str(error) or type(error).__name__)}</p>"


def _section(heading: str, content: str) -> str:
    return f"<h2>{html.escape(heading)}</h2>{content}"


def _image(data: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def _card(facts: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
    return f"<table>{rows}</table>"


def _table(board: pd.DataFrame) -> str:
    shown = board.head(_SHOWN_ROWS)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in shown.columns)
    rows = []
    for row in shown.itertuples(index=False):
        cells = (f'<td class="wide">{html.escape(_cell(value))}</td>' for value in row)
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.5g}"
    return "" if value is None else str(value)
