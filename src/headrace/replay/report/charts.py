"""The plots of a replay's report: loss against retrains, and the loss saved by period with the retrains of policies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headrace.core.clock import from_us
from headrace.models.figures import saved_axes
from headrace.replay.policies import DECLARED, calendar_name
from headrace.replay.result import ReplayResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BLUE, _RED, _GREY, _GREEN = "#4878a8", "#c44e52", "#9a9a9a", "#3f8f5b"


def losses_by_retrains(result: ReplayResult) -> Figure:
    """Plot each policy's loss against its retrains, with the hindsight optimum as a line; names appear on hover."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "plotly_white", "height": 460, "margin": {"t": 20}})
    points = result.hindsight
    figure.add_scatter(
        x=[one.retrains for one in points],
        y=[one.loss for one in points],
        mode="lines+markers",
        line={"color": _GREY, "dash": "dot"},
        name="hindsight optimum",
    )
    for name, colour, group in (("can be declared", _BLUE, True), ("for comparison", _RED, False)):
        shown = [one for one in result.outcomes if one.production is group]
        never = result.outcomes[0].loss
        figure.add_scatter(
            x=[one.retrains for one in shown],
            y=[one.loss for one in shown],
            text=[one.name if one.name in _named(result) else "" for one in shown],
            hovertext=[one.name for one in shown],
            error_y={
                "array": [never - one.low - one.loss for one in shown],
                "arrayminus": [one.loss - (never - one.high) for one in shown],
                "thickness": 1,
                "color": "#cccccc",
            },
            mode="markers+text",
            textposition="top center",
            marker={"size": 9, "color": colour},
            name=name,
        )
    figure.update_xaxes(title="retrains")
    figure.update_yaxes(title="mean loss of a row")
    return figure


def _named(result: ReplayResult) -> tuple[str, ...]:
    """The policies whose names are written at their points: all of them would cover each other."""
    return ("never", "worth", DECLARED, result.recommendation.name, calendar_name(1, result.plan.every_us))


def saved_by_period(result: ReplayResult) -> Figure:
    """Plot what the recommended policy and two calendars saved against never, summed over the periods."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "plotly_white", "height": 380, "margin": {"t": 20}})
    first = result.plan.warm_up
    losses = np.array(result.weekly, dtype=np.float64)
    chosen = next(walk for walk in result.walks if walk.name == result.recommendation.name)
    dates = [from_us(step.at_us) for step in chosen.steps]
    calendars = [calendar_name(periods, result.plan.every_us) for periods in (1, 8)]
    for walk in (one for one in result.walks if one.name in (chosen.name, *calendars)):
        champions = walk.champions - first
        periods = np.arange(len(champions))
        saved = np.cumsum(np.nan_to_num(losses[0, periods] - losses[champions, periods]))
        figure.add_scatter(x=dates, y=saved, mode="lines", name=walk.name)
        marks = [step.period - first for step in walk.steps if step.following != step.champion]
        if walk.name == chosen.name and marks:
            figure.add_scatter(
                x=[dates[one] for one in marks],
                y=saved[marks],
                mode="markers",
                marker={"size": 11, "symbol": "triangle-up", "color": _GREEN},
                name="retrain",
            )
    figure.update_yaxes(title="loss of a row saved, summed over periods")
    return figure


def draw_losses(result: ReplayResult, path: Path) -> Path:
    """Draw loss against retrains as a PNG, for MLflow and the documentation."""
    with saved_axes(path) as axes:
        axes.plot(
            [one.retrains for one in result.hindsight],
            [one.loss for one in result.hindsight],
            color=_GREY,
            ls=":",
            marker=".",
            label="hindsight optimum",
        )
        for one in result.outcomes:
            colour = _BLUE if one.production else _RED
            axes.scatter([one.retrains], [one.loss], color=colour, s=30, zorder=3)
            if one.name in _named(result):
                axes.annotate(one.name, (one.retrains, one.loss), (4, 4), textcoords="offset points", fontsize=8)
        axes.set_xlabel("retrains")
        axes.set_ylabel("mean loss of a row")
        axes.legend(frameon=False)
    return path
