"""The checks of a certificate: each compares values that must be equal, and counts them.

leak probe        features from the history = features from a history that differs from the cutoff on
oracle            the engine's values = those of the oracle, in plain Python, on a sample
online store      the rows that serving reads = the engine's values at their tick
reproduction      the model's predictions for its reference rows = those stored at training
skew audit        served features = recomputed features (`audit.skew`)

Two facts are reported beside them: what late data would have changed, and how many different ticks the training rows
have. With one tick only, nothing in training varies with time, and no leak could be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.audit.changed_history import ChangedHistory
from headrace.audit.skew import audit_skew
from headrace.audit.versions import Versions
from headrace.core.errors import HeadraceError, NotFoundError
from headrace.lake.store import Snapshot
from headrace.models.bundle import PREDICTION, Bundle
from headrace.prediction_log.log import PredictionLog
from headrace.schema import Problem
from headrace.store.history import compute_at, known_keys
from headrace.store.online import OnlineStore
from headrace.store.published import read_published
from headrace.synthesis.engines import engine_of
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.matrix.aligned import differs
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.oracle.oracle import Oracle
from headrace.synthesis.spine.build import build_spine

Outcome = Literal["passed", "failed", "not run"]

#: Spine rows of the leak probe, and rows and features of the comparison with the oracle, which is slow.
PROBED_ROWS, ORACLE_ROWS, ORACLE_FEATURES = 2_000, 5, 20
#: Keys of each feature view whose stored rows are compared.
STORED_KEYS = 2_000


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check.

    Attributes:
        name: Name of the check.
        outcome: Whether it passed; "not run" where there is nothing to compare yet.
        values: Number of values that were compared.
        different: Number of them that differ.
        text: The result in a sentence.
    """

    name: str
    outcome: Outcome
    values: int
    different: int
    text: str


def _compared(name: str, values: int, different: int, text: str, found: Sequence[str] = ()) -> Check:
    """Return the check of a comparison; nothing compared is "not run"."""
    outcome: Outcome = "failed" if different else "passed" if values else "not run"
    details = f" Different: {', '.join(found[:5])}." if found else ""
    return Check(name=name, outcome=outcome, values=values, different=different, text=text + details)


def leak_probe(problem: Problem, definitions: Sequence[Definition], snapshot: Snapshot, spine: pa.Table) -> Check:
    """Check that what is known from a cutoff on changes no feature before it.

    Args:
        problem: The problem.
        definitions: The features.
        snapshot: The lake's tables.
        spine: Past spine rows, oldest first; the last ones are probed, at the cutoff of the last.
    """
    name = "leak probe"
    rows = spine.slice(max(spine.num_rows - PROBED_ROWS, 0))
    if rows.num_rows == 0:
        return Check(name=name, outcome="not run", values=0, different=0, text="There are no past rows.")
    instant = int(rows["cutoff"][-1].as_py())
    start = int(rows["cutoff"][0].as_py())
    engine = engine_of(problem)
    was = feature_matrix(problem, definitions, rows, snapshot, engine)
    after = feature_matrix(problem, definitions, rows, ChangedHistory(problem, snapshot, instant), engine)
    earlier = feature_matrix(problem, definitions, rows, ChangedHistory(problem, snapshot, start), engine)
    different = {item.name: int(differs(was[item.slug], after[item.slug]).sum()) for item in definitions}
    sighted = sum(bool(differs(was[item.slug], earlier[item.slug]).any()) for item in definitions)
    text = (
        f"Everything known from the cutoff of the last of {rows.num_rows:,} rows on was changed. Changed from the "
        f"first cutoff on, {sighted} of {len(definitions)} features differ, so the probe sees changes."
    )
    found = [feature for feature, count in different.items() if count]
    values = rows.num_rows * len(definitions) if sighted else 0
    return _compared(name, values, sum(different.values()), text, found)


def oracle_check(problem: Problem, definitions: Sequence[Definition], snapshot: Snapshot, spine: pa.Table) -> Check:
    """Compare the engine with the oracle on the latest rows and the first features."""
    rows = spine.slice(max(spine.num_rows - ORACLE_ROWS, 0))
    sample = tuple(definitions[:ORACLE_FEATURES])
    if rows.num_rows == 0:
        return Check(name="oracle", outcome="not run", values=0, different=0, text="There are no past rows.")
    fast = feature_matrix(problem, sample, rows, snapshot, engine_of(problem))
    slow = feature_matrix(problem, sample, rows, snapshot, Oracle())
    found = [item.name for item in sample if _not_close(fast[item.slug], slow[item.slug]).any()]
    different = sum(int(_not_close(fast[item.slug], slow[item.slug]).sum()) for item in sample)
    text = f"{len(sample)} features of {rows.num_rows} rows were computed again row by row in plain Python."
    return _compared("oracle", rows.num_rows * len(sample), different, text, found)


def _not_close(one: pa.ChunkedArray, other: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return where two columns differ by more than rounding [n]: the oracle sums in another order."""
    differing = np.asarray(differs(one, other))
    if not pa.types.is_floating(one.type) or not differing.any():
        return differing
    left, right = (np.asarray(column.to_numpy(), dtype=np.float64) for column in (one, other))
    close: NDArray[np.bool_] = np.isclose(left, right, rtol=1e-9, atol=1e-9, equal_nan=True)
    return differing & ~close


def online_check(root: Path, problem: Problem, bundle: Bundle, snapshot: Snapshot, now_us: int) -> Check:
    """Compare the rows that serving reads with the engine's values at the tick of each feature view."""
    name = "online store"
    try:
        published = read_published(root, problem.name)
        columns = published.service_columns(bundle.service)
        store = OnlineStore(root, problem)
        ages = store.ages(bundle.service, now_us)
    except HeadraceError as error:
        return Check(name=name, outcome="not run", values=0, different=0, text=f"It cannot be read: {error.what}.")
    values, different = 0, 0
    found: list[str] = []
    for view_of, slugs in columns.items():
        view, tick_us = published.view(view_of), ages[view_of].tick_us
        if tick_us is None or ages[view_of].status == "AHEAD":
            continue
        keys = known_keys(published, problem, view, snapshot, tick_us).slice(0, STORED_KEYS)
        ticks = pa.array(np.full(keys.num_rows, tick_us, dtype=np.int64))
        computed = compute_at(
            problem, view.select(slugs), view.join_keys, keys.append_column("tick", ticks), snapshot
        ).to_pylist()
        nulls = dict.fromkeys(problem.join_keys)
        read = store.read(bundle.service, [{**nulls, **key} for key in keys.to_pylist()], now_us)
        for row, expected in zip(read, computed, strict=True):
            wrong = [slug for slug in slugs if row.values[slug] != expected[slug]]
            values, different, found = values + len(slugs), different + len(wrong), found + wrong
    text = "Stored rows were compared with the history at the tick of their refresh."
    return _compared(name, values, different, text, sorted(set(found)))


def reproduction_check(bundle: Bundle) -> Check:
    """Predict the reference rows again and compare with the predictions stored at training."""
    try:
        reference = bundle.read_reference()
    except NotFoundError:
        return Check(name="reproduction", outcome="not run", values=0, different=0, text="There are no reference rows.")
    known = reference[PREDICTION].to_numpy()
    again = np.asarray(bundle.predict(reference.select([item.slug for item in bundle.definitions])))
    different = int((known != again).sum())
    return _compared("reproduction", len(known), different, "Predictions of the stored reference rows were repeated.")


def skew_check(problem: Problem, log: PredictionLog, version: str, versions: Versions, snapshot: Snapshot) -> Check:
    """Audit the logged predictions of the version."""
    try:
        report = audit_skew(problem, log, versions, snapshot, version=version, details=0)
    except NotFoundError:
        return Check(name="skew audit", outcome="not run", values=0, different=0, text="It has predicted nothing yet.")
    unchecked = sum(report.unchecked.values())
    text = f"{report.predictions:,} logged predictions were compared, {unchecked:,} could not be."
    return _compared("skew audit", report.values, report.different, text, list(report.features))


def past_rows(problem: Problem, snapshot: Snapshot, until_us: int) -> pa.Table:
    """Return the spine rows with a mature label whose cutoff is before an instant, oldest first."""
    spine = build_spine(problem, snapshot, end_us=until_us, now_us=until_us, engine=engine_of(problem))
    return spine.filter(spine["mature"]) if problem.has_label else spine
