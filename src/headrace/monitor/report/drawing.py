"""Draw two tables and the verdicts of their evidence as a report of Evidently.

What is drawn is bounded, for a column costs Evidently a tenth of a second and more: at most 2,000 rows of each side,
30 categories, and 20 columns: predictions, labels, then what drifted, then what the model leans on most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import from_us
from headrace.models.bundle import LABEL, PREDICTION
from headrace.monitor.evidence.columns import ColumnEvidence
from headrace.monitor.evidence.values import as_numbers
from headrace.monitor.evidence.window import WindowEvidence
from headrace.monitor.report.rendering import METHODS, Column, RenderedReport, render_report

MAX_ROWS, MAX_COLUMNS, MAX_CATEGORIES = 2_000, 20, 30
_DEFAULT = {"numeric": "ks", "categorical": "js"}
_OTHER = "(other)"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A report before it is written.

    Attributes:
        report: Evidently's report.
        rows: Rows of the reference and of the window that were drawn.
        columns: Number of columns.
        left_out: Column -> why it is not drawn.
    """

    report: RenderedReport
    rows: tuple[int, int]
    columns: int
    left_out: Mapping[str, str]


def draw(
    reference: pa.Table,
    current: pa.Table,
    kinds: Mapping[str, str],
    *,
    evidence: WindowEvidence | None,
    heading: str,
    name: str,
    at_us: int,
    facts: Mapping[str, str],
    importance: Mapping[str, float] | None = None,
    picture: Path | None = None,
    seed: int = 0,
) -> Drawn | None:
    """Draw two tables with the verdicts of their evidence.

    Args:
        reference, current, kinds, importance, picture, seed: As in `page.render`.
        evidence: Verdicts of the columns; None where nothing is judged.
        heading: What stands above the columns, as Markdown.
        name: Name of the run.
        at_us: Its time (us).
        facts: Metadata of the run.

    Returns:
        The report; None where there is nothing to draw.
    """
    sides = [_sample(table, seed) for table in (reference, current)]
    columns, left_out = _columns(sides[0], sides[1], kinds, _column_order(kinds, evidence, importance or {}))
    if not columns:
        return None
    categories = {name: _categories(sides, name) for name, kind in columns.items() if kind == "categorical"}
    verdicts = _verdicts(evidence) if evidence else {}
    report = render_report(
        [_frame(table, columns, categories) for table in sides],
        [
            Column(name, kind, _test(verdicts.get(name, (False, ""))[1], kind), verdicts.get(name, (False, ""))[0])
            for name, kind in columns.items()
        ],
        heading=heading,
        picture=None if picture is None else picture.read_bytes(),
        name=name,
        at=from_us(at_us),
        facts=facts,
    )
    rows = (sides[0].num_rows, sides[1].num_rows)
    return Drawn(report=report, rows=rows, columns=len(columns), left_out=left_out)


def _sample(table: pa.Table, seed: int) -> pa.Table:
    """Sample at most MAX_ROWS rows, one from each of equally long segments in time order, so that all days remain."""
    if table.num_rows <= MAX_ROWS:
        return table
    edges = np.linspace(0, table.num_rows, MAX_ROWS + 1).astype(np.int64)
    return table.take(pa.array(np.random.default_rng(seed).integers(edges[:-1], edges[1:])))


def _column_order(
    kinds: Mapping[str, str], evidence: WindowEvidence | None, importance: Mapping[str, float]
) -> list[str]:
    """Order columns: drifted ones as in alerts (policy.ranked), then the others by importance."""
    if evidence is None:
        return sorted(kinds, key=lambda name: -importance.get(name, 0.0))

    def sort_key(column: ColumnEvidence) -> tuple[bool, float, float]:
        weight = importance.get(column.name, 0.0)
        return not column.drifted, -weight * (column.severity if column.drifted else 1.0), -column.severity

    return [column.name for column in sorted(evidence.columns, key=sort_key)]


def _columns(
    reference: pa.Table, current: pa.Table, kinds: Mapping[str, str], ranked: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """name -> numeric or categorical of what is drawn, in the order of `ranked`; name -> why of what is not."""
    label_kind = "categorical" if _is_binary(reference) else "numeric"
    candidates = {PREDICTION: "numeric", LABEL: label_kind, **{name: kinds[name] for name in ranked if name in kinds}}
    chosen: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name, kind in candidates.items():
        drawn_kind = {"numeric": "numeric", "categorical": "categorical", "boolean": "categorical"}.get(kind)
        sides = (("reference", reference), ("window", current))
        empty_sides = [side for side, table in sides if not _has_values(table, name, kind)]
        if drawn_kind is None:
            left_out[name] = f"columns of kind {kind} are not drawn"
        elif empty_sides:
            left_out[name] = f"no values in the {' and the '.join(empty_sides)}"
        elif len(chosen) >= MAX_COLUMNS:
            left_out[name] = f"only {MAX_COLUMNS} columns are drawn"
        else:
            chosen[name] = drawn_kind
    return chosen, left_out


def _has_values(table: pa.Table, name: str, kind: str) -> bool:
    if name not in table.column_names:
        return False
    if kind == "numeric":  # texts where numbers were are none
        numbers = as_numbers(table[name])
        return numbers is not None and bool(np.isfinite(numbers).any())
    return bool(pc.sum(pc.is_finite(_floats(table, name))).as_py() or 0)


def _floats(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Numbers as float64; of anything else only whether it is there."""
    column = table[name]
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return column.cast(pa.float64())
    return pc.if_else(pc.is_valid(column), pa.scalar(1.0), pa.scalar(None, pa.float64()))


def _is_binary(table: pa.Table) -> bool:
    return LABEL in table.column_names and set(pc.unique(table[LABEL]).to_pylist()) <= {0.0, 1.0, None}


def _verdicts(evidence: WindowEvidence) -> dict[str, tuple[bool, str]]:
    """Return column -> (whether it drifted, test)."""
    distributions = [(PREDICTION, evidence.prediction), (LABEL, evidence.label)]
    named = [*((column.name, column) for column in evidence.columns), *distributions]
    return {name: (column.drifted, column.test) for name, column in named if column is not None}


def _frame(table: pa.Table, chosen: Mapping[str, str], categories: Mapping[str, list[str]]) -> Any:
    """Build a pandas frame: float64 with NaN, and text with rare categories merged."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for name, kind in chosen.items():
        if kind == "numeric":
            columns[name] = as_numbers(table[name])
        else:
            names = set(categories[name])
            texts = [None if value is None else str(value) for value in table[name].to_pylist()]
            columns[name] = [text if text is None or text in names else _OTHER for text in texts]
    return pd.DataFrame(columns).replace([np.inf, -np.inf], np.nan)


def _categories(sides: list[pa.Table], name: str) -> list[str]:
    """Return the most frequent categories of both tables together."""
    values = [str(value) for table in sides for value in table[name].to_pylist() if value is not None]
    names, counts = np.unique(np.array(values), return_counts=True)
    return [str(text) for text in names[np.argsort(-counts, kind="stable")][: MAX_CATEGORIES - 1]]


def _test(test: str, kind: str) -> str:
    """Return the test to show: that of the evidence where Evidently has it for this kind, else a default."""
    return test if kind in METHODS.get(test, ("", frozenset()))[1] else _DEFAULT[kind]
