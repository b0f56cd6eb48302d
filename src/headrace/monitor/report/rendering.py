"""Render drift reports with Evidently: pandas frames and verdicts of columns in, HTML and a workspace run out.

All of Evidently's API (0.7) that Headrace uses is in this file. Each statistical test is registered a second time under
another name: it computes Evidently's score and returns Headrace's verdict. Evidently's own rule about the whole data
set is not shown.
"""

from __future__ import annotations

import base64
import json
import struct
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from headrace.core.files import write_bytes

_BOTH = frozenset({"numeric", "categorical"})
#: Headrace's name of a test -> Evidently's name, and the kinds of columns that it takes.
METHODS: Mapping[str, tuple[str, frozenset[str]]] = {
    "ks": ("ks", frozenset({"numeric"})),
    "kl": ("kl_div", _BOTH),
    "psi": ("psi", _BOTH),
    "js": ("jensenshannon", _BOTH),
    "wasserstein": ("wasserstein", frozenset({"numeric"})),
}
#: Scores nothing: the same for every column and window, so that the dashboard sees one series over all runs.
_VERDICT = "headrace"

#: Width of the page's column, pixels.
_PICTURE_WIDTH = 1100

_one_at_a_time = threading.Lock()


class Column(NamedTuple):
    """A column to draw. kind: numeric or categorical; test: of METHODS; drifted: the verdict to show."""

    name: str
    kind: str
    test: str
    drifted: bool


class _Context(NamedTuple):
    """Data for the callbacks of Evidently, whose objects cannot carry it."""

    heading: str
    drifted: frozenset[str]
    picture: bytes | None = None


_context: ContextVar[_Context] = ContextVar("drawing")


@dataclass(frozen=True)
class RenderedReport:
    """A computed report."""

    snapshot: Any

    def html(self) -> bytes:
        """Return the report as one HTML page that needs no network."""
        with _no_warnings():
            return str(self.snapshot.get_html_str(as_iframe=False)).encode()

    def add_to_workspace(self, workspace: Path, project_name: str, project: uuid.UUID, run: uuid.UUID) -> None:
        """Write the run to the workspace under its id, replacing an earlier one; create the project where missing."""
        with _no_warnings():
            from evidently.sdk.models import DashboardModel, DashboardTabModel, ProjectModel
        home = workspace / str(project)
        (home / "snapshots").mkdir(parents=True, exist_ok=True)
        with FileLock(workspace / ".lock"), _no_warnings():
            if not (home / "metadata.json").exists():
                panel = _share_panel()
                tab = DashboardTabModel(title="Drift", panels=[panel.id])
                _write_atomically(home / "dashboard.json", DashboardModel(tabs=[tab], panels=[panel]))
                about = "Windows of logged predictions against the champion's reference, judged by Headrace."
                _write_atomically(
                    home / "metadata.json", ProjectModel(id=project, name=project_name, description=about)
                )
            _write_atomically(home / "snapshots" / f"{run}.json", self.snapshot.to_snapshot_model())


def render_report(
    frames: Sequence[Any],
    columns: Sequence[Column],
    *,
    heading: str,
    picture: bytes | None = None,
    name: str,
    at: datetime,
    facts: Mapping[str, str],
) -> RenderedReport:
    """Compute the report of two pandas frames.

    Args:
        frames: Reference and current rows.
        columns: Columns in the order of the report's table.
        heading: Text in place of Evidently's verdict, as Markdown.
        picture: PNG image to show below it.
        name: Name of the run.
        at: Its time.
        facts: Metadata of the run.
    """
    with _no_warnings():
        from evidently import DataDefinition, Dataset, Report
    definition = DataDefinition(
        numerical_columns=[column.name for column in columns if column.kind == "numeric"],
        categorical_columns=[column.name for column in columns if column.kind == "categorical"],
    )
    drifted = frozenset(column.name for column in columns if column.drifted)
    _register()
    with _one_at_a_time, _no_warnings(), _with_context(_Context(heading, drifted, picture)):
        reference, current = (Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
        preset = _preset()(
            columns=[column.name for column in columns],
            per_column_method={column.name: f"{_VERDICT}_{METHODS[column.test][0]}" for column in columns},
        )
        report = Report([preset], metadata=dict(facts))
        return RenderedReport(report.run(current, reference, timestamp=at.replace(tzinfo=None), name=name))


@cache
def _preset() -> Any:
    """Return Evidently's drift preset with Headrace's heading and order of columns."""
    from evidently.legacy.renderers.html_widgets import text_widget
    from evidently.metrics.column_statistics import DriftedColumnsCount
    from evidently.presets import DataDriftPreset

    class WindowDrift(DataDriftPreset):  # type: ignore[misc]
        def generate_metrics(self, context: Any) -> Sequence[Any]:
            own = list(super().generate_metrics(context))
            return [DriftedColumnsCount(num_method=_VERDICT, cat_method=_VERDICT), *own[1:]]

        def render(self, context: Any, child_widgets: Any = None) -> list[Any]:
            table = super().render(context, child_widgets)[-1]
            rank = {name: place for place, name in enumerate(self.columns or ())}
            table.params["data"].sort(key=lambda row: rank[row["column_name"]])
            heading = text_widget(text=_context.get().heading, title="Headrace's decision")
            return [heading, *_picture_widgets(_context.get().picture), table]

    return WindowDrift


def _picture_widgets(picture: bytes | None) -> list[Any]:
    """Return a widget with an image: Evidently has none, so it is the background of an empty Plotly figure."""
    if picture is None:
        return []
    import plotly.graph_objects as go
    from evidently.legacy.renderers.html_widgets import plotly_figure

    width, height = struct.unpack(">II", picture[16:24])  # of the PNG's header
    source = "data:image/png;base64," + base64.b64encode(picture).decode()
    figure = go.Figure()
    figure.add_layout_image(
        source=source, xref="paper", yref="paper", x=0, y=1, sizex=1, sizey=1, sizing="contain", layer="below"
    )
    figure.update_layout(
        height=round(_PICTURE_WIDTH * height / width),
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        xaxis={"visible": False, "range": [0, 1]},
        yaxis={"visible": False, "range": [0, 1]},
        plot_bgcolor="rgba(0,0,0,0)",
        template=None,
    )
    return [plotly_figure(title="What it costs, by day and by slice", figure=figure)]


@cache
def _register() -> None:
    """Register the judged tests in Evidently's registry, once per process."""
    with _no_warnings():
        from evidently.legacy.calculations.stattests import StatTest, register_stattest
        from evidently.legacy.calculations.stattests.registry import _registered_stat_tests
        from evidently.legacy.core import ColumnType

    def judged_test(base: Any) -> Any:
        def scored(reference: Any, current: Any, kind: Any, threshold: float) -> tuple[float, bool]:
            return base(reference, current, kind, threshold).drift_score, _verdict(reference)

        return scored

    for method, _ in METHODS.values():
        base = next(iter(_registered_stat_tests[method].values()))
        judged = StatTest(
            name=f"{_VERDICT}_{method}",
            display_name=f"{base.display_name}, judged by Headrace",
            allowed_feature_types=base.allowed_feature_types,
            default_threshold=base.default_threshold,
        )
        register_stattest(judged, judged_test(base))
    verdict = StatTest(
        name=_VERDICT,
        display_name="Headrace",
        allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
        default_threshold=0.5,
    )
    register_stattest(verdict, lambda reference, *_: (float(_verdict(reference)), _verdict(reference)))


def _verdict(series: Any) -> bool:
    return str(series.name) in _context.get().drifted


def _share_panel() -> Any:
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    values = [PanelMetric(legend="share", metric="DriftedColumnsCount", metric_labels={"value_type": "share"})]
    return line_plot_panel(title="Share of drifted columns", values=values)


def _write_atomically(path: Path, model: Any) -> None:
    """Make a file appear whole, as Evidently's workspace has it.

    Its own writes are not atomic: half a file keeps the UI from starting, and ends its watcher of the folder. That
    watcher does not see a rename either; a new link to a finished file is to it a file that was created.
    """
    from evidently.ui.storage.local.base import NumpyEncoder

    finished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        write_bytes(finished, json.dumps(model.dict(), cls=NumpyEncoder).encode())
        path.unlink(missing_ok=True)
        path.hardlink_to(finished)
    finally:
        finished.unlink(missing_ok=True)


@contextmanager
def _with_context(context: _Context) -> Iterator[None]:
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


@contextmanager
def _no_warnings() -> Iterator[None]:
    # Evidently and what it imports warn about pandas, numpy and pydantic of their own use.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
