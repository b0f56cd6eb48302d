"""Runs in featuretools' own environment: reads the worlds' tables, writes what featuretools computes on them.

    .venv-featuretools/bin/python tests/parity/featuretools_values.py tests/parity/goldens

A golden is long: one row per (feature, spine row); `number` for a number, a truth value or
seconds, `text` for the rest. Both null is featuretools' missing value. What featuretools fails on is left out.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).parent))

import featuretools as ft  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from featuretools.primitives import get_aggregation_primitives  # noqa: E402
from worlds import CATALOGUE, WORLDS, Run, WorldSpec  # noqa: E402

#: Of the transforms: those of a row's own columns alone that need no argument and no other row.
ROW_TRANSFORMS = (
    "absolute", "absolute_diff", "add_numeric", "and", "cityblock_distance", "cosine", "date_to_holiday", "day",
    "day_of_year", "days_in_month", "diff_datetime", "divide_numeric", "email_address_to_domain", "equal",
    "greater_than", "greater_than_equal_to", "haversine", "hour", "is_free_email_domain", "is_leap_year",
    "is_lunch_time", "is_month_end", "is_month_start", "is_null", "is_quarter_end", "is_quarter_start", "is_weekend",
    "is_working_hours", "is_year_end", "is_year_start", "latitude", "less_than", "less_than_equal_to", "longitude",
    "mean_characters_per_word", "median_word_length", "minute", "modulo_numeric", "month", "multiply_boolean",
    "multiply_numeric", "natural_logarithm", "negate", "not", "not_equal", "num_characters", "num_unique_separators",
    "num_words", "number_of_hashtags", "number_of_mentions", "number_of_unique_words", "number_of_words_in_quotes",
    "or", "part_of_day", "punctuation_count", "quarter", "season", "second", "sine", "square_root",
    "subtract_numeric", "tangent", "time_since", "title_word_count", "total_word_length", "upper_case_count",
    "upper_case_word_count", "week", "weekday", "whitespace_count", "year", "age",
)  # fmt: skip


def read(folder: Path, name: str) -> pd.DataFrame:
    """A table with naive UTC times, as featuretools wants them."""
    frame = pq.read_table(folder / f"{name}.parquet").to_pandas()
    for column in frame:
        if isinstance(frame[column].dtype, pd.DatetimeTZDtype):
            frame[column] = frame[column].dt.tz_localize(None).astype("datetime64[ns]")
    return frame


def entity_set(world: str, spec: WorldSpec, folder: Path) -> ft.EntitySet:
    found = ft.EntitySet(world)
    for name, table in spec.tables.items():
        frame = read(folder, name)
        kinds = dict.fromkeys(table.text, "NaturalLanguage")
        kinds |= dict.fromkeys(table.category, "Categorical")
        kinds |= {column: "BooleanNullable" if frame[column].isna().any() else "Boolean" for column in table.boolean}
        if world == "rows":
            kinds["email"] = "EmailAddress"
            for end in ("from", "to"):
                frame[end] = list(zip(frame.pop(f"{end}_lat"), frame.pop(f"{end}_lon"), strict=True))
                kinds[end] = "LatLong"
        found.add_dataframe(
            dataframe_name=name, dataframe=frame, index=table.key, time_index=table.time, logical_types=kinds
        )
    for parent, child, column in spec.relationships:
        found.add_relationship(parent, spec.tables[parent].key, child, column)
    for (table_name, column), values in spec.interesting.items():
        found.add_interesting_values(dataframe_name=table_name, values={column: list(values)})
    return found


def calculate(found: ft.EntitySet, run: Run, spine: pa.Table, key: str) -> pd.DataFrame:
    """featuretools' matrix, in the order of the spine."""
    cutoffs = pd.DataFrame({key: spine["key"].to_pandas(), "time": pd.to_datetime(spine["cutoff"].to_numpy() * 1_000)})
    aggregations = list(get_aggregation_primitives()) if run.aggregations == CATALOGUE else list(run.aggregations)

    def matrix(transforms: list[str] | None) -> pd.DataFrame:
        return ft.dfs(
            entityset=found,
            target_dataframe_name=run.target,
            cutoff_time=cutoffs,
            agg_primitives=aggregations or None,
            trans_primitives=transforms,
            groupby_trans_primitives=list(run.groupby) or None,
            where_primitives=list(run.where),
            max_depth=run.depth,
            max_features=run.most or -1,
            training_window=run.window,
            include_cutoff_time=run.include_cutoff,
            return_types="all",
            n_jobs=1,
        )[0]

    if run.transforms != CATALOGUE:
        return matrix([] if run.transforms == ("none",) else list(run.transforms) or None)
    columns: dict[str, pd.Series] = {}
    for name in ROW_TRANSFORMS:
        try:
            columns |= dict(matrix([name]).items())
        except (TypeError, ValueError, AttributeError) as error:
            print(f"featuretools fails on {name}: {error}")
    return pd.DataFrame(columns)


def golden(matrix: pd.DataFrame) -> pa.Table:
    """The long form."""
    names, numbers, texts = [], [], []
    for name in matrix:
        column = matrix[name]
        if pd.api.types.is_datetime64_any_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
            values = column.astype(object)
        elif pd.api.types.is_timedelta64_dtype(column):
            values = column.dt.total_seconds()
        else:
            values = column
        try:
            number = pd.to_numeric(values.astype(object).where(values.notna(), None)).astype("float64").to_numpy()
            text = [None] * len(column)
        except (ValueError, TypeError):
            number = np.full(len(column), np.nan)
            text = [None if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
        names += [name] * len(column)
        numbers.append(number)
        texts += text
    flat = np.concatenate(numbers)
    return pa.table(
        {
            "feature": pa.array(names).dictionary_encode(),
            "number": pa.array(flat, mask=np.isnan(flat)),
            "text": pa.array(texts, pa.string()).dictionary_encode(),
        }
    )


def main(folder: Path, only: set[str]) -> None:
    for world, spec in WORLDS.items():
        found = entity_set(world, spec, folder / world)
        for name, run in spec.runs.items():
            if only and world not in only and f"{world}/{name}" not in only:
                continue
            spine = pq.read_table(folder / world / f"spine_{run.target}.parquet")
            matrix = calculate(found, run, spine, spec.tables[run.target].key)
            table = golden(matrix)
            pq.write_table(table, folder / world / f"golden_{name}.parquet", compression="zstd", compression_level=19)
            print(f"{world}/{name}: {matrix.shape[1]} features x {matrix.shape[0]} rows", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]))
