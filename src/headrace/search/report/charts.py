"""Draw the plots of a study's report as plotly figures, from its trials; None where there is nothing to draw.

The metric is drawn in its own direction: value = -sign x loss (see Metric).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.evaluate.metrics import Metric
from headrace.search.space import Categorical, Choice, Parameter, Space, all_parameters
from headrace.search.trial import Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BLUE, _RED, _GREY = "#4878a8", "#c44e52", "#9a9a9a"
_COLUMNS, _ROW_HEIGHT = 3, 260
_MAX_BARS = 15


def history(trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """Plot the metric of each trial by number, and that of the incumbent."""
    if not trials:
        return None
    figure = _figure("trial", _axis(metric))
    for status, colour in (("ok", _BLUE), ("stopped", _GREY)):
        subset = [trial for trial in trials if trial.status == status and trial.loss is not None]
        if subset:
            _points(figure, [trial.number for trial in subset], subset, metric, colour, status)
    numbers, best = _incumbents(trials, metric, [float(trial.number) for trial in trials])
    _steps(figure, numbers, best)
    failed = [trial.number for trial in trials if trial.loss is None]
    for number in failed:
        figure.add_vline(x=number, line={"color": _RED, "width": 1, "dash": "dot"})
    return figure


def cpu_time(trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """Plot the incumbent's metric by cumulative CPU seconds; of a killed trial, wall-clock seconds.

    Complete trials are drawn too, so that the axis has a scale where the first trial stays the incumbent.
    """
    times = np.cumsum([trial.seconds if trial.cpu_seconds is None else trial.cpu_seconds for trial in trials]).tolist()
    times_of_best, best = _incumbents(trials, metric, times)
    if not times_of_best:
        return None
    figure = _figure("CPU seconds in trials", _axis(metric))
    complete = [(time, trial) for time, trial in zip(times, trials, strict=True) if trial.status == "ok"]
    _points(figure, [time for time, _ in complete], [trial for _, trial in complete], metric, _BLUE, "ok")
    _steps(figure, times_of_best, best)
    return figure


def parallel(space: Space, trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """Plot trials as parallel coordinates, one axis per parameter; an inactive parameter is below its axis' range."""
    import plotly.graph_objects as go

    finished = [trial for trial in trials if trial.loss is not None]
    if len(finished) < 2:
        return None
    values = [_metric_value(trial, metric) for trial in finished]
    dimensions = [_dimension(key, parameter, finished) for key, parameter in all_parameters(space)]
    low, high = np.quantile(values, [0.1, 1.0] if metric.greater_is_better else [0.0, 0.9])
    line = {
        "color": values,
        "colorscale": "Viridis",
        "reversescale": not metric.greater_is_better,
        "cmin": float(low),
        "cmax": float(max(high, low + 1e-12)),
        "showscale": True,
        "colorbar": {"title": metric.name},
    }
    figure = go.Figure(
        go.Parcoords(line=line, dimensions=[*dimensions, {"label": metric.name, "values": values}], labelangle=-20)
    )
    figure.update_layout(template="plotly_white", height=460, margin={"t": 110, "b": 30, "l": 70, "r": 60})
    return figure


def importance(shares: Mapping[str, float]) -> Figure | None:
    """Plot importances as bars, the largest on top."""
    import plotly.graph_objects as go

    if not shares:
        return None
    bars = list(shares.items())[:_MAX_BARS][::-1]
    figure = _figure("share", "")
    figure.add_trace(
        go.Bar(x=[share for _, share in bars], y=[key for key, _ in bars], orientation="h", marker={"color": _BLUE})
    )
    figure.update_layout(height=160 + 28 * len(bars), yaxis={"automargin": True})
    return figure


def slices(space: Space, trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """Plot the metric against each parameter, one panel each."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    parameters = list(all_parameters(space))
    if not any(trial.loss is not None for trial in trials):
        return None
    rows = math.ceil(len(parameters) / _COLUMNS)
    figure = make_subplots(
        rows=rows, cols=_COLUMNS, shared_yaxes=True, vertical_spacing=min(0.18, 0.3 / rows), horizontal_spacing=0.04
    )
    for panel, (key, parameter) in enumerate(parameters):
        cell = {"row": panel // _COLUMNS + 1, "col": panel % _COLUMNS + 1}
        for status, colour in (("stopped", _GREY), ("ok", _BLUE)):
            subset = [t for t in trials if t.status == status and t.loss is not None and key in t.config]
            x = [t.config[key] if _numeric(parameter) else str(t.config[key]) for t in subset]
            figure.add_trace(
                go.Scatter(x=x, y=[_metric_value(t, metric) for t in subset], mode="markers", name=status,
                           marker={"color": colour, "size": 6}, text=[f"trial {t.number}" for t in subset],
                           showlegend=panel == 0, legendgroup=status),
                **cell,
            )  # fmt: skip
        kind = ("log" if parameter.log else "linear") if _numeric(parameter) else "category"  # type: ignore[union-attr]
        figure.update_xaxes(title_text=key, type=kind, title_standoff=4, **cell)
    figure.update_yaxes(title_text=metric.name, col=1)
    figure.update_layout(template="plotly_white", height=80 + _ROW_HEIGHT * rows, margin={"t": 30, "b": 50})
    return figure


def racing(trials: Sequence[Trial]) -> Figure | None:
    """Plot by rung how many trials continued and how many were stopped."""
    import plotly.graph_objects as go

    counts_by_rung = rung_survival(trials)
    if not counts_by_rung:
        return None
    figure = _figure("rung, in order", "trials")
    rungs = list(counts_by_rung)
    for label, colour, position in (("continued", _BLUE, 0), ("stopped", _RED, 1)):
        counts = [counts_by_rung[name][position] for name in rungs]
        figure.add_trace(go.Bar(x=rungs, y=counts, name=label, marker={"color": colour}))
    figure.update_layout(barmode="stack")
    figure.update_xaxes(type="category")
    return figure


def rung_survival(trials: Sequence[Trial]) -> dict[str, tuple[int, int]]:
    """Count by rung the trials that continued and those that were stopped there, in the order of the rungs.

    A stopped trial was stopped at the last rung that it reached.
    """
    reached = [(list(trial.info.get("rungs", {})), trial.status) for trial in trials]
    reached = [(names, status) for names, status in reached if names]
    most_rungs_first = sorted(reached, key=lambda item: -len(item[0]))
    names = dict.fromkeys(name for names, _ in most_rungs_first for name in names)
    rung_survival = {}
    for name in names:
        stopped = [names[-1] == name and status == "stopped" for names, status in reached if name in names]
        rung_survival[name] = (stopped.count(False), stopped.count(True))
    return rung_survival


def _dimension(key: str, parameter: Parameter, trials: Sequence[Trial]) -> dict[str, Any]:
    """Build an axis of parallel coordinates; trials in which the parameter is inactive are below its first tick."""
    values = [trial.config.get(key) if key in trial.config else None for trial in trials]
    is_active = [key in trial.config for trial in trials]
    if isinstance(parameter, Choice | Categorical):
        options = [str(option) for option in parameter.options]
        positions = [
            float(options.index(str(v))) if is_on else -1.0 for v, is_on in zip(values, is_active, strict=True)
        ]
        ticks, labels = [float(at) for at in range(len(options))], options
        low, high = 0.0, max(len(options) - 1.0, 1.0)
    else:
        scale = math.log10 if parameter.log else float
        low, high = scale(parameter.low), scale(parameter.high)
        gap = low - (high - low) / 6
        positions = [scale(float(v)) if is_on else gap for v, is_on in zip(values, is_active, strict=True)]  # type: ignore[arg-type]
        ticks = np.linspace(low, high, 5).tolist()
        labels = [f"{10**tick if parameter.log else tick:.3g}" for tick in ticks]
    if not all(is_active):
        below = -1.0 if isinstance(parameter, Choice | Categorical) else low - (high - low) / 6
        ticks, labels, low = [below, *ticks], ["inactive", *labels], below
    return {"label": key, "values": positions, "tickvals": ticks, "ticktext": labels, "range": [low, high]}


def _numeric(parameter: Parameter) -> bool:
    return not isinstance(parameter, Choice | Categorical)


def _metric_value(trial: Trial, metric: Metric) -> float:
    assert trial.loss is not None
    return -metric.sign * trial.loss


def _incumbents(trials: Sequence[Trial], metric: Metric, positions: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return where the incumbent changed and its metric there, and both at the end. Only complete trials count."""
    changes, values = [], []
    lowest = math.inf
    for trial, position in zip(trials, positions, strict=True):
        if trial.status == "ok" and trial.loss is not None and trial.loss < lowest:
            lowest = trial.loss
            changes.append(position)
            values.append(-metric.sign * lowest)
    if changes:
        changes.append(positions[-1])
        values.append(values[-1])
    return changes, values


def _figure(x: str, y: str) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="plotly_white", height=380, xaxis_title=x, yaxis_title=y, margin={"t": 20, "b": 50, "l": 70, "r": 20}
    )
    return figure


def _axis(metric: Metric) -> str:
    return f"{metric.name} ({'higher' if metric.greater_is_better else 'lower'} is better)"


def _points(
    figure: Figure, x: Sequence[float], trials: Sequence[Trial], metric: Metric, colour: str, name: str
) -> None:
    import plotly.graph_objects as go

    texts = ["<br>".join(f"{key} {_short(value)}" for key, value in trial.config.items()) for trial in trials]
    figure.add_trace(
        go.Scatter(x=list(x), y=[_metric_value(trial, metric) for trial in trials], mode="markers", name=name,
                   marker={"color": colour, "size": 7}, text=texts)
    )  # fmt: skip


def _steps(figure: Figure, x: Sequence[float], y: Sequence[float]) -> None:
    import plotly.graph_objects as go

    figure.add_trace(
        go.Scatter(x=list(x), y=list(y), mode="lines", line={"shape": "hv", "color": _RED}, name="incumbent")
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
