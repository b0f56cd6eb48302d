"""A RelBench folder (version 3: manifest.yaml, db/*.parquet, tasks/*) as problems of Headrace, and predictions for it.

Source: Robinson et al., RelBench: A Benchmark for Deep Learning on Relational Databases, NeurIPS 2024; package
`relbench` 3.0. Nothing here imports that package.
"""

from headrace.problems.relbench.task_problem import relbench_problem

__all__ = ["relbench_problem"]
