"""Skew audit: compare the features of logged predictions with features recomputed from raw history, bit for bit.

A difference means that the online store, the log or the history is wrong, or that serving and training compute a
feature differently. It is reported with the entity, the feature, both values, and the raw rows behind the value, which
the oracle evaluates once more in plain Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.audit.origin import feature_tree
from headrace.audit.recompute import Recomputed, recompute, view_ticks
from headrace.audit.versions import Versions
from headrace.core.clock import BEFORE_ALL, NEVER, iso
from headrace.core.errors import NotFoundError
from headrace.lake.keys import KeyValue
from headrace.lake.store import Snapshot
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.schema import Problem
from headrace.synthesis.explanation.unfold import Node
from headrace.synthesis.language.definitions import Definition, stored

#: Differences that are reported with all details; more are only counted.
DETAILS = 20
_PAGE = 5_000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One feature of one prediction that was served with another value than the history gives.

    Attributes:
        prediction: Id of the prediction.
        version: Model version that it came from.
        cutoff: Instant of the prediction.
        entity: Join keys of the entities that the feature is about.
        feature: Name of the feature.
        ticks: Entity -> tick of the refresh that the value was served from.
        served: Value in the log.
        recomputed: Value from the history.
        tree: The value in the oracle's computation, down to the raw rows; None beyond the first differences.
    """

    prediction: str
    version: str
    cutoff: str
    entity: Mapping[str, KeyValue]
    feature: str
    ticks: Mapping[str, str]
    served: float | str | None
    recomputed: float | str | None
    tree: Node | None = None


@dataclass(frozen=True, kw_only=True)
class SkewReport:
    """The result of an audit.

    Attributes:
        problem: Name of the problem.
        since, until: The predictions made in [since, until); None: no limit.
        predictions: Number of predictions that were compared.
        values: Number of values that were compared.
        different: Number of values that differ.
        features: Feature -> number of its values that differ.
        differences: The first of them, with details.
        unchecked: Reason -> number of predictions that could not be compared.
        history: Fingerprint of the lake that was read.
    """

    problem: str
    since: str | None
    until: str | None
    predictions: int
    values: int
    different: int
    features: Mapping[str, int]
    differences: tuple[Difference, ...]
    unchecked: Mapping[str, int]
    history: str

    @property
    def clean(self) -> bool:
        """Whether something was compared and nothing differs."""
        return self.values > 0 and self.different == 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able values, except for values of raw rows such as times."""
        return {"clean": self.clean, **asdict(self)}


@dataclass
class _Counts:
    """What an audit has counted so far."""

    predictions: int = 0
    values: int = 0
    features: Counter[str] = field(default_factory=Counter)
    unchecked: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


def audit_skew(
    problem: Problem,
    log: PredictionLog,
    versions: Versions,
    snapshot: Snapshot,
    *,
    since_us: int = BEFORE_ALL,
    until_us: int = NEVER,
    version: str | None = None,
    details: int = DETAILS,
    most: int = 10,
) -> SkewReport:
    """Recompute the features of logged predictions and compare them with the served ones.

    Memory is bounded: the log is read in pages.

    Args:
        problem: The problem.
        log: Its prediction log.
        versions: Gives the features of model versions.
        snapshot: The lake's present tables.
        since_us: Predictions made from this instant on (us).
        until_us: Predictions made before this instant (us).
        version: Only predictions of this version; None: of all.
        details: Number of differences to report with their raw rows.
        most: Number of raw rows of each aggregation in a difference.

    Raises:
        NotFoundError: There are no such predictions, or the version is unknown.
    """
    counts = _Counts()
    if version is not None:
        versions.bundle(version)
    for page in log.pages(since_us, until_us, size=_PAGE) if log.exists() else ():
        for of_version, predictions in _groups(page):
            if version in (None, of_version):
                _audit_group(problem, versions, of_version, predictions, snapshot, counts, details, most)
    if not counts.predictions and not counts.unchecked:
        raise NotFoundError(
            "no predictions are logged" + ("" if version is None else f" of version {version}"),
            where=f"{problem.name}: {log.path}",
            fix="predict something first, by `headrace advance` or the API; or name another period",
        )
    return SkewReport(
        problem=problem.name,
        since=None if since_us == BEFORE_ALL else iso(since_us),
        until=None if until_us == NEVER else iso(until_us),
        predictions=counts.predictions,
        values=counts.values,
        different=counts.features.total(),
        features=dict(counts.features.most_common()),
        differences=tuple(counts.differences),
        unchecked=dict(counts.unchecked.most_common()),
        history=snapshot.fingerprint,
    )


def _groups(page: Sequence[Prediction]) -> Iterator[tuple[str, list[Prediction]]]:
    """Yield the predictions of each version and source."""
    groups: dict[tuple[str, str], list[Prediction]] = {}
    for item in page:
        groups.setdefault((item.model_version, item.source), []).append(item)
    for (version, _), predictions in groups.items():
        yield version, predictions


def _audit_group(
    problem: Problem,
    versions: Versions,
    version: str,
    predictions: Sequence[Prediction],
    snapshot: Snapshot,
    counts: _Counts,
    details: int,
    most: int,
) -> None:
    """Add the comparison of one version's predictions to the counts."""
    try:
        definitions = versions.bundle(version).definitions
    except NotFoundError:
        counts.unchecked[f"version {version} is neither in MLflow nor in this home"] += len(predictions)
        return
    recomputed = recompute(problem, definitions, predictions, snapshot)
    counts.unchecked.update(recomputed.unchecked.values())
    counts.predictions += len(recomputed.predictions)
    counts.values += len(recomputed.predictions) * len(definitions)
    for definition in definitions:
        for row in different_rows(recomputed, definition):
            counts.features[definition.name] += 1
            if len(counts.differences) < details:
                counts.differences.append(_difference(problem, definition, recomputed, row, snapshot, most))


def different_rows(recomputed: Recomputed, definition: Definition) -> list[int]:
    """Return the positions of the predictions whose served value of a feature differs in any bit."""
    served = [item.features[definition.slug] for item in recomputed.predictions]
    column = recomputed.features[definition.slug]
    try:
        logged = pa.array(served, column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # a value of another type, which differs
        return [row for row, pair in enumerate(zip(served, column.to_pylist(), strict=True)) if not _same(*pair)]
    if not pa.types.is_floating(column.type):
        return [row for row, pair in enumerate(zip(served, column.to_pylist(), strict=True)) if pair[0] != pair[1]]
    differs = _bits(logged) != _bits(column.combine_chunks())
    return [int(row) for row in np.flatnonzero(differs)]


def _same(served: Any, recomputed: Any) -> bool:
    return type(served) is type(recomputed) and served == recomputed


def _bits(values: pa.Array) -> np.ndarray:
    """Return the bit patterns of numbers [n]; that of NaN for a missing one."""
    numbers = np.array(values.to_numpy(zero_copy_only=False), dtype=np.float64)
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view(np.int64)


def _difference(
    problem: Problem, definition: Definition, recomputed: Recomputed, row: int, snapshot: Snapshot, most: int
) -> Difference:
    prediction = recomputed.predictions[row]
    below = stored([definition])
    keys = dict.fromkeys(name for item in below for name in problem.entity(item.entity).join_keys)
    ticks = view_ticks(problem, prediction, below)
    return Difference(
        prediction=prediction.id,
        version=prediction.model_version,
        cutoff=iso(prediction.cutoff_us),
        entity={name: prediction.join_keys[name] for name in keys or problem.join_keys},
        feature=definition.name,
        ticks={name: iso(tick) for name, tick in ticks.items() if tick is not None},
        served=prediction.features[definition.slug],
        recomputed=recomputed.features[definition.slug][row].as_py(),
        tree=feature_tree(problem, definition, recomputed, row, snapshot, most=most),
    )
