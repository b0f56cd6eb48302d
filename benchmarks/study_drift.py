"""Drift tests on the real flights: what they find in the weeks after training, and which planted shifts they detect.

    make study-drift [QUICK=1]

A champion (LightGBM, 150 trees, no tuning, the 120 features of one selection) is trained on January to April; its gate
is April, predicted by a model of January to March. Windows of May to July are compared as the monitor flow does. Three
questions, a table each in docs/benchmarks.md:

    windows      drifted features in each window, with rows as independent and with windows and entities
    left out     the same for each week of the reference, against the other weeks: no drift, whatever is found
    planted      shifts of one feature at a time in the week to 25 June, tested at the level of one of all features

The feature matrix is stored in .headrace/study-drift/ and computed once.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.results import Goal, Row, publish
from benchmarks.study_flights import ROUNDS, STARTS, UNTUNED, feature_sets, the_year
from headrace.core import parquet
from headrace.core.clock import DAY, to_us
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION, reference_profile
from headrace.models.design import Encoder
from headrace.monitor.evidence.columns import ColumnEvidence, compare_column, judge_moments
from headrace.monitor.evidence.dependence import blocks_of, clusters_of
from headrace.monitor.evidence.weekdays import same_weekdays, spacing_us
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from headrace.pipeline.monitoring.champion_reference import depends_on_time_alone, entities_of, longest_lookback_us
from headrace.pipeline.monitoring.feature_sources import columns_read
from headrace.problems.flights import problem
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Definition, from_json, to_json
from headrace.synthesis.matrix.matrix import feature_matrix

COMMAND = "make study-drift"
FOLDER = Path(".headrace/study-drift")
WEEK, END = 7 * DAY, to_us("2013-07-03")
#: Last days of the windows, and their lengths in days.
WINDOWS = (*((f"2013-06-{day:02}", 7) for day in (4, 11, 18, 25)), ("2013-07-02", 7),
           ("2013-06-23", 3), ("2013-06-28", 3), ("2013-06-30", 3), ("2013-07-02", 3))  # fmt: skip
PLANTED_WEEK = "2013-06-25"
FDR, OF_FEATURES = 0.01, 0.5
SHIFTS = (1.0, 2.0, 4.0)
#: Longest lookback of a class of features (us) -> its name, and the goal in per cent for one and for two deviations.
CLASSES = (("no lookback, or all history", None, None), ("lookback of a day or less", 60.0, None),
           ("2 to 7 days", None, None), ("30 days", None, 60.0))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Flights:
    """Rows [n] of January to 2 July: features, digests of entities, `_cutoff` (us), `_label`; and when it was known."""

    definitions: tuple[Definition, ...]
    table: pa.Table
    label_known: NDArray[np.int64]

    @property
    def kinds(self) -> dict[str, str]:
        return {item.slug: item.kind for item in self.definitions if item.kind != "time"}

    @property
    def excluded(self) -> frozenset[str]:
        return frozenset(item.slug for item in self.definitions if depends_on_time_alone(item))

    @property
    def lookback_us(self) -> dict[str, int]:
        return {item.slug: longest_lookback_us(item) for item in self.definitions}

    @property
    def entities(self) -> dict[str, tuple[str, ...]]:
        return {item.slug: entities_of(item, self.table.column_names) for item in self.definitions}

    @property
    def reads(self) -> dict[str, frozenset[str]]:
        return columns_read(self.definitions, problem.carrier)

    def known_before(self, instant_us: int) -> Flights:
        """Return the rows whose label was known before an instant."""
        keep = self.table[LABEL].is_valid().to_numpy() & (self.label_known < instant_us)
        return self.where(keep & (self.table[CUTOFF].to_numpy() < instant_us))

    def between(self, start_us: int, end_us: int) -> Flights:
        cutoffs = self.table[CUTOFF].to_numpy()
        return self.where((cutoffs >= start_us) & (cutoffs < end_us))

    def where(self, keep: NDArray[np.bool_]) -> Flights:
        return replace(self, table=self.table.filter(pa.array(keep)), label_known=self.label_known[keep])


def flights() -> Flights:
    """Read the feature matrix, or compute and store it."""
    if not (FOLDER / "definitions.json").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            world = the_year(Path(folder))
            definitions = feature_sets(world)["synthesised"]
            spine = world.spine.filter(pa.array(world.cutoff < END))
            matrix = feature_matrix(problem, definitions, spine, world.snapshot, LocalEngine())
        names = {entity.name: entity.join_keys for entity in problem.all_entities}
        whole = reference_profile(
            matrix, world.label[world.cutoff < END], np.zeros(spine.num_rows),
            cutoffs_us=spine["cutoff"].to_numpy(), join_keys=spine.select(list(problem.join_keys)), entities=names,
            rows=spine.num_rows,
        )  # fmt: skip
        whole = whole.append_column("label_known", spine["label_known"]).drop_columns([PREDICTION])
        parquet.write(whole, FOLDER / "rows.parquet")
        (FOLDER / "definitions.json").write_text(json.dumps([to_json(item) for item in definitions]))
    table = parquet.read(FOLDER / "rows.parquet")
    labels = pc.if_else(pc.is_nan(table[LABEL]), None, table[LABEL])
    known = table["label_known"].to_numpy(zero_copy_only=False).astype(np.int64)
    table = table.drop_columns(["label_known"]).set_column(table.column_names.index(LABEL), LABEL, labels)
    definitions = tuple(from_json(item) for item in json.loads((FOLDER / "definitions.json").read_text()))
    return Flights(definitions=definitions, table=table, label_known=known)


def with_predictions(year: Flights) -> tuple[Flights, Flights, Flights]:
    """Return the reference (January to April), the gate (April) and the rows from May on, with predictions."""
    import lightgbm

    def predicted(training: Flights, rows: Flights) -> Flights:
        encoder = Encoder.fit(training.table.select(names))
        design = encoder.encode(training.table.select(names))
        data = lightgbm.Dataset(
            design.X, label=training.table[LABEL].to_numpy(), categorical_feature=list(design.categorical)
        )
        booster = lightgbm.train(UNTUNED, data, num_boost_round=ROUNDS)
        values = booster.predict(encoder.encode(rows.table.select(names)).X, num_threads=2)
        return replace(rows, table=rows.table.append_column(PREDICTION, pa.array(values, pa.float64())))

    names = [item.slug for item in year.definitions]
    april, may = to_us("2013-04-01"), STARTS[0]
    training = year.known_before(may)
    return (
        predicted(training, training),
        predicted(year.known_before(april), training.between(april, may)),
        predicted(training, year.between(may, END)),
    )


def profile(rows: Flights) -> pa.Table:
    """Return the sample that a bundle holds."""
    sampled = np.sort(np.random.default_rng(0).choice(rows.table.num_rows, 5_000, replace=False))
    return rows.table.take(pa.array(sampled))


def evidence(year: Flights, reference: pa.Table, held_out: pa.Table | None, current: pa.Table, *, length_us: int,
             by_rows: bool = False) -> WindowEvidence:  # fmt: skip
    """Judge a window as the monitor flow does; `by_rows` takes rows as independent."""
    return window_evidence(
        reference,
        current.drop_columns([CUTOFF]),
        year.kinds,
        exclude=year.excluded,
        held_out=held_out,
        cutoffs_us=current[CUTOFF].to_numpy(),
        length_us=0 if by_rows else length_us,
        lookback_us=year.lookback_us,
        entities=year.entities,
        reads=year.reads,
        fdr=FDR,
        metric=problem.metric,
    )


def by_window(year: Flights, reference: pa.Table, gate: Flights, later: Flights, command: str) -> list[Row]:
    """Rows of the windows after training."""
    rows = []
    for last_day, days in WINDOWS:
        end_us = to_us(last_day) + DAY
        window = (end_us - days * DAY, end_us)
        length = spacing_us(*window) if days % 7 else WEEK
        before, held_out = (same_weekdays(table, *window) for table in (reference, gate.table))
        current = later.between(*window).table
        found, plain = (
            evidence(year, before, held_out, current, length_us=length, by_rows=way) for way in (False, True)
        )
        tested = sum(1 for column in found.columns if column.measures)
        rows.append(
            Row(metric=f"{days} days to {last_day}: drifted features of {tested} tested"
                       f" (predictions {_word(found.prediction)}, labels {_word(found.label)};"
                       f" AUC {_auc(found, 'value'):.3f}, gate {_auc(found, 'reference'):.3f})",
                value=len(found.drifted), unit="features", peer="rows as independent", peer_value=len(plain.drifted),
                command=command)
        )  # fmt: skip
        print(last_day, days, len(found.drifted), sorted(found.drifted), flush=True)
    return rows


def _word(column: ColumnEvidence | None) -> str:
    return "drifted" if column is not None and column.drifted else "did not"


def _auc(found: WindowEvidence, which: str) -> float:
    auc = None if found.performance is None else found.performance.metrics.get("auc")
    return float(getattr(auc, which, np.nan))


def left_out(year: Flights, training: Flights, command: str, *, weeks: int) -> list[Row]:
    """Rows of weeks of the reference, each compared with the others, which close up."""
    end_us, alarms, drifted, tested = STARTS[0], 0, 0, 0
    for age in range(weeks):
        start = end_us - (age + 1) * WEEK
        rows = profile(training.between(to_us("2013-01-01"), end_us))
        cutoffs = rows[CUTOFF].to_numpy()
        others = rows.filter(pa.array((cutoffs < start) | (cutoffs >= start + WEEK)))
        closed = others[CUTOFF].to_numpy() + np.where(others[CUTOFF].to_numpy() < start, WEEK, 0)
        others = others.set_column(others.column_names.index(CUTOFF), CUTOFF, pa.array(closed))
        current = training.between(start, start + WEEK).table.drop_columns([PREDICTION, LABEL])
        found = evidence(year, others.drop_columns([PREDICTION, LABEL]), None, current, length_us=WEEK)
        alarms, drifted = alarms + bool(found.drifted), drifted + len(found.drifted)
        tested += sum(1 for column in found.columns if column.measures)
        print("left out", age, sorted(found.drifted), flush=True)
    return [
        Row(metric=f"weeks of January to April, compared with the others: weeks with a finding, of {weeks}",
            value=alarms, unit="weeks", command=command),
        Row(metric=f"the same: drifted features, of {tested:,} tested", value=drifted, unit="features",
            goal=Goal(op="<=", value=round(tested * FDR, 1)), command=command),
    ]  # fmt: skip


def planted(year: Flights, reference: pa.Table, later: Flights, command: str) -> list[Row]:
    """Rows of shifts of one numeric feature at a time."""
    end_us = to_us(PLANTED_WEEK) + DAY
    current = later.between(end_us - WEEK, end_us).table
    blocks = blocks_of(reference, WEEK)
    assert blocks is not None  # the reference has cutoffs
    clusters = clusters_of(reference, current, blocks, year.entities)

    def compared(name: str, values: pa.ChunkedArray | pa.Array) -> ColumnEvidence:
        return compare_column(name, year.kinds[name], reference[name], values, blocks=blocks,
                              clusters=clusters.get(name, ()), lookback_us=year.lookback_us[name])  # fmt: skip

    reads = year.reads
    columns = [compared(name, current[name]) for name in year.kinds if name not in year.excluded]
    judged = judge_moments(columns, reads)
    alpha = FDR * OF_FEATURES / sum(1 for column in judged if column.measures)
    numeric = [i for i, column in enumerate(columns) if column.kind == "numeric" and judged[i].measures]
    found: dict[tuple[int, str], list[bool]] = {}
    for i in numeric:
        name = columns[i].name
        for label, values in _changed(reference[name], current[name]).items():
            changed = [*columns[:i], compared(name, values), *columns[i + 1 :]]
            drifted = judge_moments(changed, reads)[i].judged(alpha).drifted
            found.setdefault((_class(year.lookback_us[name]), label), []).append(drifted)
    return [_planted_row(key, hits, command) for key, hits in sorted(found.items())]


def _changed(reference: pa.ChunkedArray, current: pa.ChunkedArray) -> Mapping[str, pa.Array]:
    """The untouched week, the week shifted by standard deviations of the reference, and with a tenth missing."""
    values = current.cast(pa.float64()).to_numpy().copy()
    deviation = float(np.nanstd(reference.cast(pa.float64()).to_numpy()))
    lost = np.random.default_rng(0).random(len(values)) < 0.1
    shifted = {f"{size:g} sd": pa.array(values + size * deviation, from_pandas=True) for size in SHIFTS}
    missing = pa.array(np.where(lost, np.nan, values), from_pandas=True)
    return {"0 sd (untouched)": pa.array(values, from_pandas=True), **shifted, "a tenth missing": missing}


def _class(lookback_us: int) -> int:
    return 0 if not lookback_us else 1 if lookback_us <= DAY else 2 if lookback_us <= 7 * DAY else 3


def _planted_row(key: tuple[int, str], hits: list[bool], command: str) -> Row:
    name, one, two = CLASSES[key[0]]
    least = {"1 sd": one, "2 sd": two}.get(key[1])
    return Row(metric=f"{name}, {key[1]}: found in {sum(hits)} of {len(hits)} features",
               value=100 * float(np.mean(hits)), unit="%", goal=None if least is None else Goal(op=">=", value=least),
               command=command)  # fmt: skip


NOTE = (
    "A champion trained until the end of April, its features compared with 5,000 training rows. Left-out weeks of the"
    " training period have no drift by construction. A planted shift is one of a single numeric feature, in standard"
    " deviations of the reference, tested at the level of one of all features (`untouched`: found without any shift)."
)


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    year = flights()
    training, gate, later = with_predictions(year)
    reference = profile(training)
    rows = [
        *by_window(year, reference, gate, later, command),
        *left_out(year, training, command, weeks=5 if quick else 16),
        *planted(year, reference, later, command),
    ]
    publish("study-drift", "Drift tests on the flights", rows, NOTE)


if __name__ == "__main__":
    main()
