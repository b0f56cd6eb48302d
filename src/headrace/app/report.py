"""Print the report of a finished run: the champion, its windows, metrics and features, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console

from headrace.app.addresses import page_of
from headrace.evaluate.metric_words import METRIC_WORDS
from headrace.pipeline.model_summary import ModelSummary
from headrace.pipeline.report import RunReport

#: Width of the column of headings.
_INDENT = 12
#: Longer lines are hard to read on a wide terminal.
_MOST_COLUMNS = 110


def show_report(report: RunReport, console: Console | None = None) -> None:
    """Print the report of a run. Words are never broken; a path or a name that is too long runs over.

    Args:
        report: The finished run.
        console: Where to print; standard output if left out.
    """
    page = _Page(console or Console())
    page.line("")
    page.section(report.problem, (f"{report.decision}.",))
    page.section("run", (_stages(report),))
    if report.model is not None:
        _show_model(page, report.model)
    page.section("replayed", _replayed(report.replayed))
    page.section("policy", report.policy)
    page.section("note", report.notes)
    page.section(
        "quarantined", (f"{item.table}: {'; '.join(item.reasons)} ({item.path})" for item in report.quarantined)
    )
    if report.study:
        page.section("study", (report.study,))
    page.section("pages", (f"{name}: {page_of(name, url)}" for name, url in report.addresses.items()))
    page.section("next", _next_steps(report))


def _stages(report: RunReport) -> str:
    made_again = [stage.name for stage in report.stages if stage.state == "made again"]
    cached = sum(stage.cached for stage in report.stages)
    text = f"{report.seconds:.1f} s; {len(report.stages)} stages, {cached} of them cached"
    return f"{text}; damaged and made again: {', '.join(made_again)}" if made_again else text


def _show_model(page: _Page, model: ModelSummary) -> None:
    windows = model.windows
    boundaries = (windows["train_from"], windows["tune_from"], windows["gate_from"], windows["until"])
    page.section(
        "windows",
        (
            f"{name:<6} {_day(start)} to {_day(end)}  {windows[f'{name}_rows']:>10,} rows"
            for name, start, end in zip(("train", "tune", "gate"), boundaries, boundaries[1:], strict=False)
        ),
    )
    page.section("quality", _quality(model))
    page.section(
        "features",
        (
            f"{model.kept} of {model.candidates} candidates. The model uses most:",
            *(f"{item.share:4.0%}  {item.name}" for item in model.features),
        ),
    )


def _quality(model: ModelSummary) -> Iterable[str]:
    """The metrics on the gate window; the problem's own first, with its meaning."""
    own = METRIC_WORDS[model.metric]
    yield f"on the gate window, which the model had not seen: {model.metric} {_number(model.metrics[model.metric])}"
    yield f"({own.title}: {own.meaning}); the best constant: {_number(model.baseline)}"
    for name, value in model.metrics.items():
        if name != model.metric:
            yield f"{name} {_number(value)} ({METRIC_WORDS[name].title})"


def _replayed(metrics: Mapping[str, float]) -> Iterable[str]:
    """The metrics of the champion on the replayed window, whose rows it predicted as in production."""
    for name, value in metrics.items():
        window, _, metric = name.partition("_")
        if metric in METRIC_WORDS:
            yield f"{window}, predicted as in production: {metric} {_number(value)} ({METRIC_WORDS[metric].title})"


def _next_steps(report: RunReport) -> tuple[str, ...]:
    """Commands, each with what it is for; what is done already is left out."""
    problem = _from_here(report.reference)
    steps = [] if "API" in report.addresses else [(f"headrace up {problem}", "start the API, Prefect and MLflow")]
    steps += [
        (f"headrace features {problem}", "which features were kept, and why not the others"),
        (f"headrace status {problem}", "the champion, the clock and the services"),
    ]
    return tuple(f"{command}: {purpose}" for command, purpose in steps)


def _from_here(reference: str) -> str:
    """A problem file's path from the current folder, where it lies below it."""
    here = Path.cwd()
    return str(Path(reference).relative_to(here)) if Path(reference).is_relative_to(here) else reference


def _day(instant: str | int) -> str:
    return str(instant)[:10]


def _number(value: float) -> str:
    """Four digits, and thousands as people write them."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"


class _Page:
    """Lines of text below headings in a column of their own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = min(console.width, _MOST_COLUMNS)

    def section(self, heading: str, lines: Iterable[str]) -> None:
        """Print lines, the first beside the heading; nothing where there are none."""
        before = heading.ljust(_INDENT)
        for text in lines:
            self.line(
                textwrap.fill(
                    text,
                    width=max(self._width, 2 * _INDENT),
                    initial_indent=before if before.endswith(" ") else f"{before} ",
                    subsequent_indent=" " * _INDENT,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
            before = " " * _INDENT

    def line(self, text: str) -> None:
        """Print text as it is."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
