"""Render the page from its facts: the words, charts and links of the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from headrace import __version__
from headrace.api.page import words
from headrace.api.page.charts import drift_chart, quality_chart
from headrace.api.page.facts import MAX_DECISIONS, PageFacts
from headrace.api.page.links import mlflow_runs, mlflow_version, mlflow_versions
from headrace.charts.style import CHART_STYLE, COLOURS
from headrace.core.clock import window_name
from headrace.evaluate.metrics import METRICS
from headrace.monitor.outbox.outbox import Entry
from headrace.monitor.policy.decision import Decision
from headrace.monitor.report.paths import page_file, page_path, project_path
from headrace.monitor.worth.wording import describe
from headrace.schema import Every, Problem

MAX_ALERTS = 6
_KINDS = {"nothing": "Nothing to do", "alert": "Look at this", "retrain": "Retrain"}


@dataclass(frozen=True, kw_only=True)
class Message:
    """A sentence at the top of the page. tone: good, warn or bad."""

    text: str
    tone: str = "good"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool with links (text, address); without one it is not up."""

    name: str
    about: str
    links: tuple[tuple[str, str], ...] = ()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("headrace.api.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def style_sheet() -> str:
    """Return the style sheet of the page."""
    own, _, _ = _environment().loader.get_source(_environment(), "page.css")  # type: ignore[union-attr]
    return COLOURS + own + CHART_STYLE


def render_message(title: str, text: str, *, base: str) -> str:
    """Render a page that says one thing, such as why a form was refused."""
    return _environment().get_template("message.html").render(title=title, text=text, base=base)


def render_page(
    facts: PageFacts,
    problem: Problem,
    *,
    root: Path,
    report_file: Any,
    base: str,
    token: str,
    token_field: str,
    message: Message | None = None,
) -> str:
    """Render the page.

    Args:
        facts: What it shows.
        problem: The problem.
        root: Home folder, to see which reports exist.
        report_file: Version -> path of the file of its report.
        base: Path of the page, which ends with a slash.
        token, token_field: Hidden field of the forms.
        message: What the last form did.
    """
    champion = facts.champion
    rows = words.metric_rows(champion.metrics, problem.metric) if champion else ()
    challenger = facts.versions.get(facts.challenger or "", {})

    def report_link(decision: Decision) -> str:
        drawn = facts.links.evidently and page_file(root, decision).exists()
        return facts.links.evidently + page_path(decision) if drawn else ""

    return (
        _environment()
        .get_template("page.html")
        .render(
            facts=facts,
            problem=problem,
            subject=subject(problem),
            base=base,
            token=token,
            token_field=token_field,
            message=message,
            version=__version__,
            max_alerts=MAX_ALERTS,
            metric_rows=rows,
            places=words.places(rows),
            place_title=words.place_title,
            place_meanings=words.PLACE_MEANINGS,
            challenger_rows=words.metric_rows(challenger, problem.metric)[:1],
            shadow=shadow_words(problem, facts.decisions),
            rollout=rollout_words(problem, facts),
            decisions=recent(facts.decisions),
            quality_chart=quality_chart(facts.decisions, facts.versions, problem.metric),
            drift_chart=drift_chart(facts.decisions),
            tools=tools(facts, problem),
            moment=words.moment,
            age_words=words.age_words,
            period=lambda decision: window_name(decision.start_us, decision.end_us).replace("--", " to "),
            kind_words=lambda decision: "A person is needed" if decision.escalated else _KINDS[decision.kind],
            outcome=outcome,
            sentence=sentence,
            upper_first=upper_first,
            short_name=lambda name: name.removeprefix(f"{problem.name}-"),
            report_link=report_link,
            has_report=lambda version: report_file(version).exists(),
            mlflow_version=lambda version: mlflow_version(facts.links.mlflow, problem.name, version),
        )
    )


def subject(problem: Problem) -> str:
    """Return for what, and when, a problem predicts."""
    if isinstance(problem.spine, Every):
        return f"each of {problem.spine.entity}, every {problem.spine.step}"
    return f"each row of {problem.spine.table}, at {problem.cutoff}"


def sentence(text: str) -> str:
    """Return a text with a capital at its start and a full stop at its end."""
    text = upper_first(text.strip())
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def upper_first(text: str) -> str:
    """Return a text with a capital at its start, unless its first word is the name of a metric."""
    return text if text.partition(" ")[0] in METRICS else text[:1].upper() + text[1:]


def shadow_words(problem: Problem, history: Sequence[Entry]) -> str:
    """Return what the last comparison of champion and shadow found."""
    if problem.policy.worth is None:
        return "None: the problem's policy does not measure the worth of a refresh."
    found = next((one.decision.worth for one in reversed(history) if one.decision.worth), None)
    if found is None:
        return "A shadow is the champion's recipe, refitted on newer rows. None has been compared yet."
    return sentence(describe(found))


def rollout_words(problem: Problem, facts: PageFacts) -> tuple[str, ...]:
    """Return the state of the rollout as sentences."""
    step, counts = facts.rollout, facts.rollout_counts
    if step is None:
        return (
            "None: a version that passes the gate is promoted at once."
            if problem.rollout is None
            else "None yet: a version that passes the gate is compared with the champion first.",
        )
    share = f", {step.share:.0%} of the entities" if step.phase == "canary" else ""
    sentences = [
        sentence(f"Version {step.version}: {step.phase}{share}, since {words.moment(step.at_us)}: {step.reason}")
    ]
    if counts is not None:
        sentences.append(
            f"Here it scored {counts.requests:,} requests, answered {counts.answered:,} of them and failed "
            f"{counts.errors:,}; {counts.dropped:,} were not compared."
        )
        if counts.champion_p99_s is not None and counts.challenger_p99_s is not None:
            champion_ms, own_ms = counts.champion_p99_s * 1000, counts.challenger_p99_s * 1000
            sentences.append(f"99th percentile of scoring: {own_ms:.2f} ms, the champion's {champion_ms:.2f} ms.")
    return tuple(sentences)


def recent(history: Sequence[Entry]) -> list[Entry]:
    """Return the decisions to list, newest first."""
    return list(reversed(history))[:MAX_DECISIONS]


def outcome(entry: Entry) -> str:
    """Return what became of a decision, in words."""
    parts = []
    if entry.outcome is not None:
        version = f" (version {entry.version})" if entry.version else ""
        parts.append(sentence(f"{entry.outcome}{version}: {entry.outcome_reason}".rstrip(": ")))
    elif entry.decision.kind == "retrain":
        parts.append("A retrain is under way." if entry.attempts else "The retrain has not begun yet.")
    if entry.acknowledged:
        note = f": {entry.acknowledged.note}" if entry.acknowledged.note else ""
        parts.append(sentence(f"seen by {entry.acknowledged.who}, {words.moment(entry.acknowledged.at_us)}{note}"))
    return " ".join(parts) or "–"


def tools(facts: PageFacts, problem: Problem) -> tuple[Tool, ...]:
    """Return the tools with deep links about this problem."""
    links, name = facts.links, problem.name
    prefect: tuple[tuple[str, str], ...] = ()
    if links.prefect and facts.prefect is not None:
        artifacts = tuple((key, f"{links.prefect}/artifacts/key/{key}") for key in facts.prefect.artifacts)
        prefect = (("runs", f"{links.prefect}/runs"), ("deployments", f"{links.prefect}/deployments"), *artifacts)
    return (
        Tool(name="Prefect", about="Runs, schedules, and artifacts: tables and texts that runs leave.", links=prefect),
        Tool(
            name="MLflow",
            about="Trials of every search with their metrics and plots, and the registered versions.",
            links=(
                ("runs", mlflow_runs(links.mlflow, name)),
                ("versions", f"{mlflow_versions(links.mlflow, name)}?workflowType=machine_learning"),
            )
            if links.mlflow
            else (),
        ),
        Tool(
            name="Evidently",
            about="The reference and every monitored window, feature by feature.",
            links=(("windows", links.evidently + project_path(name)),) if links.evidently else (),
        ),
        Tool(
            name="Feast",
            about="Feature views, entities and services, and where they come from.",
            links=(("feature views", f"{links.feast}/p/headrace/feature-view"),) if links.feast else (),
        ),
        Tool(
            name="API",
            about="Every endpoint with a form to try; counters for Prometheus.",
            links=(("reference", "docs"), ("metrics", "metrics"), ("readiness", "readyz")),
        ),
    )
