"""Evaluations of genotypes: written once, each as it ends, and replayed by searches."""

from headrace.networks.benchmark.journal import EvaluationJournal
from headrace.networks.benchmark.table import ArchitectureTable, Record

__all__ = ["ArchitectureTable", "EvaluationJournal", "Record"]
