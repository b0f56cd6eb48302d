"""Run the rules over a batch or a training set: yes or no first, and only after a no the counts, examples and pages."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from filelock import FileLock

from headrace.core.errors import DataError
from headrace.quality import frames, suites
from headrace.quality.rules import LABEL, LABEL_IS_NUMBER, Rule, table_rules, training_rules
from headrace.schema import Problem, Table

#: Up to so many rules, the pages show them all; of a wide training set, those that failed.
MAX_DOCUMENTED_RULES = 40

# The library keeps its context in a global.
_LOCK = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found. reasons: one dict per failed rule (reason, expectation, column, unexpected, of, examples).

    docs: index.html of the Data Docs, written only on failure.
    """

    subject: str
    success: bool
    reasons: list[dict[str, Any]] = field(default_factory=list)
    docs: Path | None = None

    def require(self) -> None:
        """Raise DataError with every reason unless the check succeeded."""
        if not self.success:
            raise DataError(
                "; ".join(reason["reason"] for reason in self.reasons),
                where=self.subject,
                fix=f"see {self.docs}" if self.docs else "",
                reasons=tuple(self.reasons),
            )


def validate_batch(table: Table, rows: pa.Table, docs_root: Path) -> Verdict:
    """Check a conformed batch against its table's rules."""
    rules = table_rules(table, rows.column_names)
    return _validate(table.name, "batch", rules, frames.batch_frame(rows, rules), docs_root)


def validate_training_set(
    problem: Problem, training: pa.Table, docs_root: Path, *, columns: int | None = None
) -> Verdict:
    """Check a training set: features and `label` (null where the label has not come or never will).

    Args:
        problem: The problem.
        training: The rows.
        docs_root: Where pages are written on failure.
        columns: Features that are converted to pandas at once; None: all. It changes no verdict, because a rule is
            about one column.
    """
    if LABEL not in training.column_names:
        raise DataError("a training set without a label", where=problem.name, found=training.column_names)
    rules = training_rules(problem, training.schema)
    features = [name for name in training.column_names if name != LABEL]
    if columns is None or columns >= len(features):
        return _validate(problem.name, "training", rules, frames.training_frame(training), docs_root)
    failed: list[Rule] = []
    for start in range(0, len(features), columns):
        some = {*features[start : start + columns], *(() if start else (None, LABEL, LABEL_IS_NUMBER))}
        chosen = [rule for rule in rules if rule.arguments.get("column") in some]
        frame = frames.training_frame(training.select([*features[start : start + columns], LABEL]))
        with _LOCK, _no_warnings():
            failed += _failed(problem.name, chosen, frame)
    if not failed:
        return Verdict(subject=f"{problem.name} training", success=True)
    documented = failed[:MAX_DOCUMENTED_RULES]
    named = dict.fromkeys(rule.arguments["column"] for rule in documented if rule.arguments.get("column") in features)
    return _validate(
        problem.name, "training", documented, frames.training_frame(training.select([*named, LABEL])), docs_root
    )


def _validate(subject: str, kind: str, rules: Sequence[Rule], frame: pd.DataFrame, docs_root: Path) -> Verdict:
    with _LOCK, _no_warnings():
        failed = _failed(subject, rules, frame)
        if not failed:
            return Verdict(subject=f"{subject} {kind}", success=True)
        documented = rules if len(rules) <= MAX_DOCUMENTED_RULES else failed
        results, docs = _document(f"{subject}_{kind}", documented, frame, Path(docs_root) / f"{subject}_{kind}")
    reasons = [_reason(_rule(documented, result), result, frame) for result in results if not result["success"]]
    return Verdict(subject=f"{subject} {kind}", success=False, reasons=reasons, docs=docs)


def _failed(name: str, rules: Sequence[Rule], frame: pd.DataFrame) -> list[Rule]:
    """Return the rules that fail, validated in an ephemeral context."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    _without_bars(context)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": frame})
    outcome = batch.validate(suites.suite(name, rules), result_format="BOOLEAN_ONLY")
    return [_rule(rules, item.to_json_dict()) for item in outcome.results if not item.success]


def _rule(rules: Sequence[Rule], result: dict[str, Any]) -> Rule:
    """Return the rule of a result; results have another order than the suite, so expectations are numbered."""
    return rules[int(result["expectation_config"]["meta"]["rule"])]


def _document(
    name: str, rules: Sequence[Rule], frame: pd.DataFrame, folder: Path
) -> tuple[list[dict[str, Any]], Path | None]:
    """Validate again with counts and examples, and write Data Docs below a folder; one process at a time."""
    import great_expectations as gx
    from great_expectations.checkpoint.actions import UpdateDataDocsAction

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        context = gx.get_context(mode="file", project_root_dir=folder)
        _without_bars(context)
        source = context.data_sources.add_or_update_pandas("rows")
        definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        suite = context.suites.add_or_update(suites.suite(name, rules))
        validation = context.validation_definitions.add_or_update(
            gx.ValidationDefinition(name=name, data=definition, suite=suite)
        )
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[validation],
            actions=[UpdateDataDocsAction(name="docs")],
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": 5},
        )
        outcome = context.checkpoints.add_or_update(checkpoint).run(batch_parameters={"dataframe": frame})
    result = next(iter(outcome.run_results.values()))
    pages = sorted(folder.rglob("data_docs/local_site/index.html"))
    return [item.to_json_dict() for item in result.results], pages[0] if pages else None


def _reason(rule: Rule, result: dict[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    details = result.get("result") or {}
    unexpected, examples = details.get("unexpected_count"), details.get("partial_unexpected_list") or []
    if rule.column == LABEL_IS_NUMBER:
        examples = []
    text = rule.reason
    if unexpected:
        text += f" ({unexpected} of {len(frame)} rows"
        listed = [example for example in dict.fromkeys(map(str, examples)) if example not in ("None", "NaT")][:3]
        text += f", such as {', '.join(listed)})" if listed else ")"
    elif rule.column == LABEL:
        text += f" ({_counts(frame[LABEL])})"
    elif details.get("observed_value") is not None and not rule.column:
        text += f" ({details['observed_value']})"
    failure = (result.get("exception_info") or {}).get("exception_message")
    if failure:
        text += f" (could not be checked: {failure})"
    return {
        "reason": text,
        "expectation": rule.expectation,
        "column": LABEL if rule.column == LABEL_IS_NUMBER else rule.column,
        "unexpected": unexpected or 0,
        "of": len(frame),
        "examples": examples,
    }


def _counts(label: pd.Series[float]) -> str:
    """`0.0: 120 rows, missing: 3 rows`, the most frequent first."""
    counts = [f"{value}: {count} rows" for value, count in label.value_counts().head(3).items()]
    missing = int(label.isna().sum())
    return ", ".join([*counts, f"missing: {missing} rows"] if missing else counts)


def _without_bars(context: Any) -> None:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Great Expectations warns of its own dependencies' ageing; that is no news about the rows."""
    log = logging.getLogger("great_expectations")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        log.setLevel(level)
