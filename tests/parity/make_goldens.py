"""Make the golden values anew: the worlds' tables and spines here, featuretools' values in its own environment.

make parity-goldens
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.parity.worlds import WORLDS, make_rows, make_shop, make_spine, targets

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "goldens"
PEER = ROOT / ".venv-featuretools" / "bin" / "python"

MOCK = """
import sys, warnings; warnings.filterwarnings("ignore")
import featuretools as ft
for frame in ft.demo.load_mock_customer(return_entityset=True, random_seed=0).dataframes:
    name = frame.ww.name
    frame = frame.drop(columns=["_ft_last_time"])
    for column in frame.select_dtypes(["category", "object"]):
        frame[column] = frame[column].astype(str)
    for column in frame.select_dtypes("datetime"):
        frame[column] = frame[column].dt.tz_localize("UTC").astype("datetime64[us, UTC]")
    frame.to_parquet(f"{sys.argv[1]}/{name}.parquet", index=False, compression="zstd")
"""


def flights_sample() -> dict[str, pa.Table]:
    """Nine aircraft over three weeks, with what is declared of planes and airlines."""
    from headrace.problems.nycflights import NycFlights

    flights, planes = NycFlights("flights").read(), NycFlights("planes").read()
    carriers = pc.field("carrier").isin(["UA", "B6", "EV", "DL"])
    until = pa.scalar(1_358_800_000_000_000, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    known = pc.field("tailnum").isin(planes["tailnum"])
    chosen = flights.filter(carriers & known & (pc.field("scheduled_departure") < until))
    names = pc.value_counts(chosen["tailnum"]).to_pylist()
    busiest = sorted(names, key=lambda item: (-item["counts"], item["values"]))[:9]
    tails = pa.array([item["values"] for item in busiest])
    columns = [
        "flight_id", "tailnum", "carrier", "scheduled_departure", "origin", "dest", "distance", "dep_delay",
        "arr_delay",
        "cancelled",
    ]  # fmt: skip
    return {
        "flights": chosen.filter(pc.is_in(chosen["tailnum"], tails)).select(columns),
        "planes": planes.filter(pc.is_in(planes["tailnum"], tails)).select(
            ["tailnum", "manufacturer", "engine", "seats"]
        ),
        "airlines": NycFlights("airlines").read(),
    }


def write_tables() -> None:
    made = {
        "shop": make_shop(3, large=False),
        "large": make_shop(4, large=True),
        "rows": make_rows(),
        "flights": flights_sample(),
    }
    for world in WORLDS:
        folder = FOLDER / world
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in made.get(world, {}).items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        if world == "mock_customer":
            subprocess.run([str(PEER), "-c", MOCK, str(folder)], check=True)
        tables = {name: pq.read_table(folder / f"{name}.parquet") for name in WORLDS[world].tables}
        for place, target in enumerate(targets(world)):
            spine = make_spine(tables, world, target, seed=100 + place)
            pq.write_table(spine, folder / f"spine_{target}.parquet", compression="zstd")


def main() -> None:
    write_tables()
    script = Path(__file__).with_name("featuretools_values.py")
    subprocess.run([str(PEER), str(script), str(FOLDER), *sys.argv[1:]], check=True)
    size = sum(path.stat().st_size for path in FOLDER.rglob("*.parquet"))
    print(f"{size / 1e6:.2f} MB in {FOLDER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
