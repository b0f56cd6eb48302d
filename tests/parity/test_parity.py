"""Our values are those that featuretools computed, feature by feature; what differs is named, and does differ."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache

import pytest

from tests.parity.reading import compare
from tests.parity.worlds import WORLDS

FLAT = [
    (world, run)
    for world, runs in {
        "shop": ("flat", "flat_before", "flat_window", "flat_window_before"),
        "large": ("flat", "flat_window_before"),
        "flights": ("flat", "flat_week"),
        "mock_customer": ("sessions",),
    }.items()
    for run in runs
]
STACKED = [
    (world, run) for world, spec in WORLDS.items() for run in spec.runs if (world, run) not in FLAT and world != "rows"
]

#: Primitives whose values differ for good. The reason stands in docs/features.md.
DIFFERENT = {"N_MOST_COMMON", "TIME_SINCE_LAST_MAX", "TIME_SINCE_LAST_MIN"}
#: They differ only where numbers of 1e8 have a spread of a few: featuretools loses digits there.
CANCELLED = {"SKEW", "VARIANCE", "STD", "KURTOSIS"}
#: What featuretools has and Headrace has not under that meaning.
MISSING = {
    "ALL", "ANY", "AVERAGE_COUNT_PER_UNIQUE", "COUNT_GREATER_THAN", "COUNT_INSIDE_NTH_STD", "COUNT_INSIDE_RANGE",
    "COUNT_LESS_THAN", "COUNT_OUTSIDE_NTH_STD", "COUNT_OUTSIDE_RANGE", "ENTROPY", "HAS_NO_DUPLICATES",
    "IS_MONOTONICALLY_DECREASING", "IS_MONOTONICALLY_INCREASING", "IS_UNIQUE", "MAX_CONSECUTIVE_NEGATIVES",
    "MAX_CONSECUTIVE_POSITIVES", "MAX_CONSECUTIVE_ZEROS", "MAX_COUNT", "MEDIAN_COUNT", "MIN_COUNT",
    "N_MOST_COMMON_FREQUENCY", "N_UNIQUE_DAYS_OF_CALENDAR_YEAR", "N_UNIQUE_DAYS_OF_MONTH", "N_UNIQUE_WEEKS",
    "NUM_CONSECUTIVE_GREATER_MEAN", "NUM_CONSECUTIVE_LESS_MEAN", "NUM_PEAKS", "NUM_ZERO_CROSSINGS",
}  # fmt: skip
#: Transforms whose values differ for good, for the reason that stands in docs/features.md.
OTHERWISE = {
    "IS_LEAP_YEAR", "IS_MONTH_END", "IS_MONTH_START", "IS_QUARTER_END", "IS_QUARTER_START", "IS_WEEKEND",
    "IS_WORKING_HOURS", "IS_YEAR_END", "IS_YEAR_START", "MEAN_CHARACTERS_PER_WORD", "PART_OF_DAY",
}  # fmt: skip

_CANCELLED = re.compile("|".join(CANCELLED))
_OF_A_KEY = re.compile(r"_id\b|\.carrier\b|\.tailnum\b")  # featuretools aggregates keys too


def primitive(feature: str) -> str:
    found = re.match(r"[A-Z_0-9]+(?=\()", feature)
    return found[0] if found else "direct"


@lru_cache
def report(world: str, run: str) -> dict[str, dict[str, str | None]]:
    """Primitive -> feature -> how it differs."""
    found: dict[str, dict[str, str | None]] = defaultdict(dict)
    for feature, said in compare(world, run).items():
        found[primitive(feature)][feature] = said
    return found


@pytest.mark.parametrize(("world", "run"), FLAT)
def test_values_are_those_of_featuretools(world: str, run: str) -> None:
    passed_over = DIFFERENT | MISSING | (CANCELLED if world == "large" else set())
    wrong = {
        feature: said
        for name, features in report(world, run).items()
        if name not in passed_over
        for feature, said in features.items()
        if said is not None and not _OF_A_KEY.search(feature)
    }
    assert wrong == {}
    assert len(report(world, run).keys() - passed_over) >= 20


def test_what_is_said_to_differ_or_to_be_missing_is() -> None:
    """A difference that goes away leaves the list, and the docs."""
    said: dict[str, list[str | None]] = defaultdict(list)
    for world, run in FLAT:
        for name, features in report(world, run).items():
            said[name] += features.values()
    assert {name for name, values in said.items() if any(values)} >= DIFFERENT
    missing = {name for name, values in said.items() if all(value and "catalogue" in value for value in values)}
    assert missing - {"direct"} == MISSING


@pytest.mark.parametrize(("world", "run"), STACKED)
def test_stacked_values_are_those_of_featuretools(world: str, run: str) -> None:
    wrong = {
        name: said
        for features in report(world, run).values()
        for name, said in features.items()
        if said is not None and "catalogue" not in said and not (world == "large" and _CANCELLED.search(name))
    }
    assert wrong == {}


def test_transforms_are_those_of_featuretools() -> None:
    found = {
        name: [said for said in features.values() if said is None or "catalogue" not in said]
        for name, features in report("rows", "transforms").items()
    }
    found = {name: said for name, said in found.items() if said}
    assert {name for name, said in found.items() if any(said)} == OTHERWISE
    assert len(found.keys() - OTHERWISE) >= 24
