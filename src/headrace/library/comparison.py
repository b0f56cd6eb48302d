"""The result of `headrace.compare`: evidence of drift as a data frame, as text and as an HTML page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from headrace.core.errors import DataError
from headrace.core.files import write_bytes
from headrace.models.bundle import LABEL, PREDICTION
from headrace.monitor.evidence.columns import ColumnEvidence
from headrace.monitor.evidence.performance import MetricEvidence
from headrace.monitor.evidence.window import WindowEvidence

if TYPE_CHECKING:
    import pandas as pd

_VERDICT = ("column", "kind", "drifted", "test", "effect", "floor", "severity", "p_value")
_FIRST = (*_VERDICT, "n_reference", "n_current", "note")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What differs between two data frames.

    Attributes:
        evidence: The monitor's evidence: scores, p-values and effects of all columns.
        reference: The reference's rows as they were compared.
        current: The current rows as they were compared.
        kinds: Column -> numeric, categorical or boolean.
        names: Column of the evidence -> column of the frames, of the label and the prediction.
        skipped: Column -> why it was not compared.
    """

    evidence: WindowEvidence
    reference: pa.Table = field(repr=False)
    current: pa.Table = field(repr=False)
    kinds: dict[str, str] = field(repr=False)
    names: dict[str, str] = field(repr=False)
    skipped: dict[str, str]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that drifted, the largest effect first; label and prediction among them."""
        found = [one for one in self._columns if one.drifted]
        return tuple(self._name(one) for one in sorted(found, key=lambda one: -one.severity))

    @property
    def quality(self) -> dict[str, MetricEvidence]:
        """Metric -> its value, its reference, and whether it dropped; empty without labels and predictions."""
        return dict(self.evidence.performance.metrics) if self.evidence.performance is not None else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks: columns that are new, gone or could not be compared."""
        given = self.reference.column_names
        silent = [
            *(["predictions were not compared"] if PREDICTION not in given else []),
            *(["quality:"] if not {LABEL, PREDICTION} <= set(given) else []),
        ]
        notes = (note for note in self.evidence.notes if not note.startswith(tuple(silent)))
        return (*(f"{name}: {reason}" for name, reason in self.skipped.items()), *notes)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per column, drifted ones first.

        Returns:
            `column`, `kind`, `drifted`, the most significant `test`, its `effect` and `floor` (the smallest effect that
            matters) in the test's unit, `severity` (effect / floor), `p_value`, the numbers of values, a `note`, and
            the score of every drift test that takes the kind.
        """
        import pandas as pd

        rows = []
        for one in self._columns:
            facts = {name: getattr(one, name) for name in _FIRST if name != "column"}
            rows.append({"column": self._name(one), **facts, **one.scores})
        frame = pd.DataFrame(rows, columns=list(dict.fromkeys((*_FIRST, *(name for row in rows for name in row)))))
        order = frame.assign(none=~frame["drifted"]).sort_values(["none", "severity"], ascending=[True, False]).index
        return frame.loc[order].reset_index(drop=True)

    def to_html(self, path: str | Path | None = None, *, title: str = "Comparison") -> str:
        """Draw the distributions of up to 20 columns with Evidently, under Headrace's verdicts.

        Args:
            path: File to write; None: none.
            title: Title of the page.

        Returns:
            The page, which needs no network.

        Raises:
            DataError: No column has values on both sides.
        """
        from headrace.monitor.report.drawing import draw

        heading = "\n\n".join((str(self), *(f"- {note}" for note in self.notes)))
        drawn = draw(
            self.reference, self.current, self.kinds,
            evidence=self.evidence, heading=heading, name=title, at_us=0, facts={},
        )  # fmt: skip
        if drawn is None:
            raise DataError("no column has values on both sides", where="compare", found=[*self.kinds, *self.skipped])
        page = drawn.report.html()
        if path is not None:
            write_bytes(Path(path), page)
        return page.decode()

    def __str__(self) -> str:
        rows = f"{self.evidence.rows:,} rows against {self.evidence.reference_rows:,}"
        if not self.evidence.measured:
            return f"Not compared: {self.evidence.outcome} ({rows})."
        names = ", ".join(self.drifted) or "no column"
        dropped = [name for name, one in self.quality.items() if one.dropped]
        quality = f" Worse than before: {', '.join(dropped)}." if dropped else ""
        return f"Drifted: {names} ({len(self.drifted)} of {len(self._columns)} columns; {rows}).{quality}"

    def _repr_html_(self) -> str:
        """For notebooks: the verdict and the table."""
        import html

        table = self.to_frame()[[*_VERDICT, "note"]].round(4).to_html(index=False)
        return f"<p>{html.escape(str(self))}</p>{table}"

    @property
    def _columns(self) -> tuple[ColumnEvidence, ...]:
        others = (self.evidence.prediction, self.evidence.label)
        return (*self.evidence.columns, *(one for one in others if one is not None))

    def _name(self, one: ColumnEvidence) -> str:
        return self.names.get(one.name, one.name)
