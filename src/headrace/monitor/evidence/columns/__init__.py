"""Evidence about single columns of a window: one drift test after another, and their p-values together."""

from headrace.monitor.evidence.columns.column import CONDITIONAL, JOINED, ColumnEvidence
from headrace.monitor.evidence.columns.compare import MIN_ROWS, column_evidence, compare_column, judge_moments

__all__ = ["CONDITIONAL", "JOINED", "MIN_ROWS", "ColumnEvidence", "column_evidence", "compare_column", "judge_moments"]
