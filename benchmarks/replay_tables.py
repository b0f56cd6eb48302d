"""Plain tables with a time column as problems, for `make bench-replay`: two that drift and one that does not.

A file of the data is read and written again with an instant and a label that is known one step later; the problem file
beside it has one table and no relationship.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

_PROBLEM = '''\
"""{about}"""

from headrace.schema import EntitySet, Problem, Table, each_row

rows = Table(name="rows", key="row", time="at", known_at={{"target": "at + {step}"}}, source="rows.parquet")

problem = Problem(
    name="{name}",
    entity_set=EntitySet(tables=(rows,), relationships=()),
    spine=each_row("rows", cutoff="at"),
    label="{label}",
    metric="{metric}",
    lookbacks=("1d",),
    tick="{step}",
)
'''


@dataclass(frozen=True, kw_only=True)
class PlainTable:
    """One table of the benchmark.

    Attributes:
        file: name of the data file.
        read: the file's rows -> rows with `row`, `at` and `target`.
        step: from one row to the next; labels are known so much later.
        label, metric: of the problem.
        drifts: whether it is known to drift.
    """

    file: str
    read: Callable[[pd.DataFrame], pd.DataFrame]
    step: str
    label: str
    metric: str
    drifts: bool = True


def _electricity(rows: pd.DataFrame) -> pd.DataFrame:
    """Elec2 (Harries 1999): half-hourly market data of New South Wales; the label is whether the price rises."""
    found = rows.drop(columns=["class", "date"])
    return found.assign(at=_steps(len(rows), "1996-05-07", "30min"), target=(rows["class"] == "UP").astype("int64"))


def _bike(rows: pd.DataFrame) -> pd.DataFrame:
    """Bike sharing (Fanaee-T and Gama 2013): hourly rentals, as logarithms."""
    at = pd.to_datetime(rows["dteday"], format="mixed", utc=True) + pd.to_timedelta(rows["hr"], unit="h")
    found = rows.drop(columns=["instant", "dteday", "casual", "registered", "cnt", "yr"])
    return found.assign(at=at, target=np.log1p(rows["cnt"]))


def _employment(rows: pd.DataFrame) -> pd.DataFrame:
    """Employment in Massachusetts (American Community Survey 2015 to 2018): every eighth row, in the file's order."""
    rows = rows.iloc[::8].reset_index(drop=True)
    found = rows.drop(columns=["id", "year", "prediction", "predicted_probability", "employed"])
    return found.assign(at=_steps(len(rows), "2015-01-05", "30min"), target=rows["employed"])


def _steps(count: int, start: str, step: str) -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq=step, tz="UTC")


TABLES = {
    "electricity": PlainTable(
        file="electricity.parquet", read=_electricity, step="30min", label="target >= 1", metric="log_loss"
    ),
    "bike": PlainTable(file="bike_sharing_hour.parquet", read=_bike, step="1h", label="target", metric="rmse"),
    "employment": PlainTable(
        file="us_census_employment_MA.parquet", read=_employment, step="30min", label="target >= 1",
        metric="log_loss", drifts=False,
    ),
}  # fmt: skip


def write_problem(name: str, data: Path, folder: Path) -> Path:
    """Write a table's rows and its problem file; returns the path of the problem file.

    Args:
        name: one of TABLES.
        data: the folder of the data files.
        folder: where to write.
    """
    table = TABLES[name]
    folder.mkdir(parents=True, exist_ok=True)
    rows = table.read(pd.read_parquet(data / table.file))
    rows.insert(0, "row", np.arange(len(rows)))
    rows.to_parquet(folder / "rows.parquet", index=False)
    about = (table.read.__doc__ or name).splitlines()[0]
    text = _PROBLEM.format(about=about, name=name, step=table.step, label=table.label, metric=table.metric)
    (folder / "problem.py").write_text(text)
    return folder / "problem.py"
