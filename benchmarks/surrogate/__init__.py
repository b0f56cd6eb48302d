"""A surrogate benchmark of searchers: real trainings on a dense set of configurations, measured once and replayed.

    make bench-tables       evaluate them again (resumes where it was)

space: what is searched. sources: the tables trained on. train: one configuration to a loss. build: the dense set,
journalled and stored. table: the replay, which answers any configuration by interpolation.
"""

from benchmarks.surrogate.table import TABLES, SurrogateTable, load_table

__all__ = ["TABLES", "SurrogateTable", "load_table"]
