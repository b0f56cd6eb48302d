"""Plots of a study for its report, as plotly figures; None where a study has nothing for one.

The metric is drawn in its own direction: value = -sign x loss (see Metric).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.evaluate.metrics import Metric
from headrace.search.space import Categorical, Choice, Parameter, Space, every_parameter
from headrace.search.trial import Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BLUE, _RED, _GREY = "#4878a8", "#c44e52", "#9a9a9a"
_COLUMNS, _ROW_HEIGHT = 3, 260
_SHOWN = 15


def history(trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """Each trial's value by number, and the incumbent's."""
    if not trials:
        return None
    figure = _figure("trial", _axis(metric))
    for status, colour in (("ok", _BLUE), ("stopped", _GREY)):
        some = [trial for trial in trials if trial.status == status and trial.loss is not None]
        if some:
            _points(figure, [trial.number for trial in some], some, metric, colour, status)
    numbers, best = _incumbents(trials, metric, [float(trial.number) for trial in trials])
    _steps(figure, numbers, best)
    failed = [trial.number for trial in trials if trial.loss is None]
    for number in failed:
        figure.add_vline(x=number, line={"color": _RED, "width": 1, "dash": "dot"})
    return figure


def spent(trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """The incumbent's value by the CPU seconds that trials took up to there; wall seconds of one that was killed.

    With what was tried in full, so that an incumbent that stayed from the first trial on has a scale.
    """
    times = np.cumsum([trial.seconds if trial.cpu_seconds is None else trial.cpu_seconds for trial in trials]).tolist()
    at, best = _incumbents(trials, metric, times)
    if not at:
        return None
    figure = _figure("CPU seconds in trials", _axis(metric))
    whole = [(time, trial) for time, trial in zip(times, trials, strict=True) if trial.status == "ok"]
    _points(figure, [time for time, _ in whole], [trial for _, trial in whole], metric, _BLUE, "ok")
    _steps(figure, at, best)
    return figure


def parallel(space: Space, trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """One axis for each parameter and the metric. An inactive parameter's line passes below its axis' range."""
    import plotly.graph_objects as go

    good = [trial for trial in trials if trial.loss is not None]
    if len(good) < 2:
        return None
    values = [_value(trial, metric) for trial in good]
    dimensions = [_dimension(key, parameter, good) for key, parameter in every_parameter(space)]
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
    """Bars, the largest on top."""
    import plotly.graph_objects as go

    if not shares:
        return None
    shown = list(shares.items())[:_SHOWN][::-1]
    figure = _figure("share", "")
    figure.add_trace(
        go.Bar(x=[share for _, share in shown], y=[key for key, _ in shown], orientation="h", marker={"color": _BLUE})
    )
    figure.update_layout(height=160 + 28 * len(shown), yaxis={"automargin": True})
    return figure


def slices(space: Space, trials: Sequence[Trial], metric: Metric) -> Figure | None:
    """A panel for each parameter."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    parameters = list(every_parameter(space))
    if not any(trial.loss is not None for trial in trials):
        return None
    rows = math.ceil(len(parameters) / _COLUMNS)
    figure = make_subplots(
        rows=rows, cols=_COLUMNS, shared_yaxes=True, vertical_spacing=min(0.18, 0.3 / rows), horizontal_spacing=0.04
    )
    for at, (key, parameter) in enumerate(parameters):
        where = {"row": at // _COLUMNS + 1, "col": at % _COLUMNS + 1}
        for status, colour in (("stopped", _GREY), ("ok", _BLUE)):
            some = [t for t in trials if t.status == status and t.loss is not None and key in t.config]
            x = [t.config[key] if _numeric(parameter) else str(t.config[key]) for t in some]
            figure.add_trace(
                go.Scatter(x=x, y=[_value(t, metric) for t in some], mode="markers", name=status,
                           marker={"color": colour, "size": 6}, text=[f"trial {t.number}" for t in some],
                           showlegend=at == 0, legendgroup=status),
                **where,
            )  # fmt: skip
        kind = ("log" if parameter.log else "linear") if _numeric(parameter) else "category"  # type: ignore[union-attr]
        figure.update_xaxes(title_text=key, type=kind, title_standoff=4, **where)
    figure.update_yaxes(title_text=metric.name, col=1)
    figure.update_layout(template="plotly_white", height=80 + _ROW_HEIGHT * rows, margin={"t": 30, "b": 50})
    return figure


def racing(trials: Sequence[Trial]) -> Figure | None:
    """Of the trials that reached each rung: how many went on, how many were stopped there."""
    import plotly.graph_objects as go

    survived = survival(trials)
    if not survived:
        return None
    figure = _figure("rung, in the order of the way", "trials")
    names = list(survived)
    for label, colour, position in (("went on", _BLUE, 0), ("stopped here", _RED, 1)):
        counts = [survived[name][position] for name in names]
        figure.add_trace(go.Bar(x=names, y=counts, name=label, marker={"color": colour}))
    figure.update_layout(barmode="stack")
    figure.update_xaxes(type="category")
    return figure


def survival(trials: Sequence[Trial]) -> dict[str, tuple[int, int]]:
    """Rung -> (trials that went on, trials that were stopped there), in the order in which trials pass them.

    A trial was stopped at the last rung that it reached.
    """
    passed = [(list(trial.info.get("rungs", {})), trial.status) for trial in trials]
    passed = [(rungs, status) for rungs, status in passed if rungs]
    longest_first = sorted(passed, key=lambda one: -len(one[0]))
    names = dict.fromkeys(name for rungs, _ in longest_first for name in rungs)
    found = {}
    for name in names:
        here = [rungs[-1] == name and status == "stopped" for rungs, status in passed if name in rungs]
        found[name] = (here.count(False), here.count(True))
    return found


def _dimension(key: str, parameter: Parameter, trials: Sequence[Trial]) -> dict[str, Any]:
    """An axis of parallel coordinates; the place below its first tick is for trials in which it is inactive."""
    here = [trial.config.get(key) if key in trial.config else None for trial in trials]
    active = [key in trial.config for trial in trials]
    if isinstance(parameter, Choice | Categorical):
        options = [str(option) for option in parameter.options]
        places = [float(options.index(str(v))) if on else -1.0 for v, on in zip(here, active, strict=True)]
        ticks, texts = [float(at) for at in range(len(options))], options
        low, high = 0.0, max(len(options) - 1.0, 1.0)
    else:
        scale = math.log10 if parameter.log else float
        low, high = scale(parameter.low), scale(parameter.high)
        gap = low - (high - low) / 6
        places = [scale(float(v)) if on else gap for v, on in zip(here, active, strict=True)]  # type: ignore[arg-type]
        ticks = np.linspace(low, high, 5).tolist()
        texts = [f"{10**tick if parameter.log else tick:.3g}" for tick in ticks]
    if not all(active):
        below = -1.0 if isinstance(parameter, Choice | Categorical) else low - (high - low) / 6
        ticks, texts, low = [below, *ticks], ["inactive", *texts], below
    return {"label": key, "values": places, "tickvals": ticks, "ticktext": texts, "range": [low, high]}


def _numeric(parameter: Parameter) -> bool:
    return not isinstance(parameter, Choice | Categorical)


def _value(trial: Trial, metric: Metric) -> float:
    assert trial.loss is not None
    return -metric.sign * trial.loss


def _incumbents(trials: Sequence[Trial], metric: Metric, at: Sequence[float]) -> tuple[list[float], list[float]]:
    """Where the incumbent changed, its value there, and both again at the end. Only whole trials become incumbents."""
    places, best = [], []
    least = math.inf
    for trial, place in zip(trials, at, strict=True):
        if trial.status == "ok" and trial.loss is not None and trial.loss < least:
            least = trial.loss
            places.append(place)
            best.append(-metric.sign * least)
    if places:
        places.append(at[-1])
        best.append(best[-1])
    return places, best


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
        go.Scatter(x=list(x), y=[_value(trial, metric) for trial in trials], mode="markers", name=name,
                   marker={"color": colour, "size": 7}, text=texts)
    )  # fmt: skip


def _steps(figure: Figure, x: Sequence[float], y: Sequence[float]) -> None:
    import plotly.graph_objects as go

    figure.add_trace(
        go.Scatter(x=list(x), y=list(y), mode="lines", line={"shape": "hv", "color": _RED}, name="incumbent")
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
