"""The problems that selection is measured on: taught rows of early months, judged rows of later ones, all candidates.

flights         the 981 candidates that the pipeline tries; January to April teach, May to December judge
flights, wide   two levels and conditions (depth=2, where="auto"), every fourth taught and every sixth judged row
nafld           what the pipeline tries; what was known before May 1999 teaches, the four years after judge
nafld, wide     conditions, eight lookbacks and ten more primitives
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import BEFORE_ALL, DAY, iso, to_us
from headrace.lake.store import Lake, Snapshot
from headrace.models.design import Design, Encoder
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Candidates that are computed at once: bounds the memory.
_AT_ONCE = 250


@dataclass(frozen=True, kw_only=True)
class Case:
    """taught: [n, p] as selection gets it; X: the same rows and the judged ones as the model gets them.

    period [judged]: what AUC is averaged over (a month, a cutoff); unit [judged]: what luck comes in (day, patient).
    """

    name: str
    says: str
    problem: Problem
    definitions: tuple[Definition, ...]
    taught: pa.Table
    y: Floats
    X: Design
    judged: Design
    y_judged: Floats
    period: Ints
    unit: Ints


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which rows of which problem: those of labels known before `until` teach, those up to `end` judge."""

    problem: str
    until: str
    end: str
    declared: Mapping[str, Any]
    every_taught: int = 1
    every_judged: int = 1


CASES: Mapping[str, Asked] = {
    "flights": Asked(problem="flights", until="2013-05-01", end="2014-01-01", declared={}),
    "flights, wide": Asked(
        problem="flights",
        until="2013-05-01",
        end="2014-01-01",
        declared={"depth": 2, "where": "auto", "max_candidates": 5000},
        every_taught=4,
        every_judged=6,
    ),
    "nafld": Asked(problem="nafld", until="1999-05-01", end="2003-01-01", declared={}),
    "nafld, wide": Asked(
        problem="nafld",
        until="1999-05-01",
        end="2003-01-01",
        every_taught=2,
        declared={
            "where": "auto",
            "lookbacks": ("91d", "182d", "365d", "730d", "1095d", "1825d", "2555d", "3650d"),
            "primitives": (
                "median",
                "quantile_10",
                "quantile_90",
                "kurtosis",
                "range",
                "trend",
                "last_z_score",
                "decayed_mean_30d",
                "mean_absolute_change",
                "last_time_between",
            ),
            "max_candidates": 5000,
        },
    ),
}


def case_of(name: str, *, every: int = 1) -> Case:
    """Compute a case; every: keep only so many of its rows (1: all)."""
    asked = CASES[name]
    problem = replace(load_problem(asked.problem), **asked.declared)
    with tempfile.TemporaryDirectory() as folder:
        snapshot = _loaded(problem, Path(folder))
        return _case(name, asked, problem, snapshot, every)


def _loaded(problem: Problem, folder: Path) -> Snapshot:
    """All history, as a bootstrap load."""
    lake = Lake(folder, problem.name)
    for table in problem.entity_set.tables:
        lake.append(table, table.source.read(), arrival_us=BEFORE_ALL, bootstrap=True)
    return lake.snapshot()


def _case(name: str, asked: Asked, problem: Problem, snapshot: Snapshot, every: int) -> Case:
    until, end = to_us(asked.until), to_us(asked.end)
    horizon = end + 3 * 365 * DAY  # by then every label that comes has come
    spine = build_spine(problem, snapshot, end_us=end, now_us=horizon, engine=LocalEngine())
    cutoff, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
    label = spine["label"].to_numpy(zero_copy_only=False).astype(np.float64)
    there = ~np.isnan(label)
    taught = np.flatnonzero(there & (known < until) & (cutoff < until))[:: asked.every_taught * every]
    judged = np.flatnonzero(there & (cutoff >= until) & (cutoff < end))[:: asked.every_judged * every]
    schemas = {table.name: snapshot.table(table.name).schema for table in problem.entity_set.tables}
    definitions = enumerate_definitions(problem, schemas, snapshot)
    early, X, later = _computed(problem, definitions, spine, snapshot, taught, judged)
    scheduled = problem.name == "nafld"
    return Case(
        name=name,
        says=f"{len(definitions):,} candidates on {len(taught):,} rows",
        problem=problem,
        definitions=definitions,
        taught=early,
        y=label[taught],
        X=X,
        judged=later,
        y_judged=label[judged],
        period=cutoff[judged] if scheduled else np.array([int(iso(int(at))[5:7]) for at in cutoff[judged]]),
        unit=spine["id"].to_numpy()[judged] if scheduled else cutoff[judged] // DAY,
    )


def _computed(
    problem: Problem,
    definitions: tuple[Definition, ...],
    spine: pa.Table,
    snapshot: Snapshot,
    taught: Ints,
    judged: Ints,
) -> tuple[pa.Table, Design, Design]:
    """The taught rows' matrix, and both parts as designs; so many candidates at once that memory holds them."""
    columns: list[Any] = []
    designs: list[tuple[Design, Design]] = []
    for start in range(0, len(definitions), _AT_ONCE):
        some = definitions[start : start + _AT_ONCE]
        engine = LocalEngine()
        early = feature_matrix(problem, some, spine.take(pa.array(taught)), snapshot, engine)
        later = feature_matrix(problem, some, spine.take(pa.array(judged)), snapshot, engine)
        encoder = Encoder.fit(early)
        designs.append((encoder.encode(early), encoder.encode(later)))
        columns += early.columns
    matrix = pa.table(columns, names=[item.slug for item in definitions])
    return matrix, _beside([one for one, _ in designs]), _beside([one for _, one in designs])


def _beside(parts: list[Design]) -> Design:
    starts = np.cumsum([0, *(len(part.names) for part in parts)])
    return Design(
        X=np.concatenate([part.X for part in parts], axis=1),
        names=tuple(name for part in parts for name in part.names),
        categorical=tuple(
            int(start) + at for start, part in zip(starts, parts, strict=False) for at in part.categorical
        ),
    )
