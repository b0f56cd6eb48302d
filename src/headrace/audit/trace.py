"""Trace one logged prediction: its model version, every feature in words, and the raw rows behind the features.

Each feature is recomputed from the history and compared with the served value. The features that moved the prediction
most are unfolded down to the rows of the lake that counted, and those that did not with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from headrace.audit.origin import feature_tree
from headrace.audit.recompute import Recomputed, recompute
from headrace.audit.skew import different_rows
from headrace.audit.versions import Versions
from headrace.core.clock import iso
from headrace.core.errors import DataError, NotFoundError
from headrace.lake.keys import KeyValue
from headrace.lake.store import Snapshot
from headrace.models.bundle import Bundle, manifest_digest
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.registry.ledger_tables import Record
from headrace.schema import Problem
from headrace.synthesis.explanation.description import words
from headrace.synthesis.explanation.unfold import Node
from headrace.synthesis.language.definitions import Definition


@dataclass(frozen=True, kw_only=True)
class TracedFeature:
    """One feature of the prediction.

    Attributes:
        name: Name of the feature.
        words: The feature in words.
        served: Value in the log.
        recomputed: Value from the history.
        same: Whether they are equal bit for bit; None where it cannot be recomputed.
        contribution: How much it moved the prediction, in the model's own unit (log-odds of a probability).
        tree: The value unfolded to raw rows; None where that was not requested.
    """

    name: str
    words: str
    served: float | str | None
    recomputed: float | str | None
    same: bool | None
    contribution: float | None
    tree: Node | None = None


@dataclass(frozen=True, kw_only=True)
class TracedVersion:
    """The model version that predicted.

    Attributes:
        version: Its number.
        family: Model family.
        service: Feature service that it reads.
        sha256: Digest of the manifest of its bundle, which contains the sha256 of every file.
        trained_until: Instant at which its training data end.
        metrics: Metric values in its tune and gate windows.
        champion_since: When it became champion, empty where it never did.
        reason: Why it was promoted.
    """

    version: str
    family: str
    service: str
    sha256: str
    trained_until: str
    metrics: Mapping[str, float]
    champion_since: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One prediction with its origin.

    Attributes:
        id: Id of the prediction.
        made: When it was made, on the production clock.
        cutoff: The instant that it was made for.
        source: "api", or "score" for rows that were scored when they fell due.
        value: The prediction; None where the stale policy gave none.
        join_keys: Keys of its entities.
        row_key: Key of the spine's row, empty where the request named none.
        request: Columns that came with the request.
        ticks: Feature view -> instant of the refresh that its values are of.
        statuses: Feature view -> FRESH, STALE or MISSING.
        version: The model version.
        features: Its features, those that moved the prediction most first.
        note: Why the features cannot be recomputed; empty where they were.
    """

    id: str
    made: str
    cutoff: str
    source: str
    value: float | None
    join_keys: Mapping[str, KeyValue]
    row_key: Sequence[Any]
    request: Mapping[str, Any]
    ticks: Mapping[str, str]
    statuses: Mapping[str, str]
    version: TracedVersion
    features: tuple[TracedFeature, ...]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the trace as JSON-able values, except for values of raw rows such as times."""
        return asdict(self)


def find_prediction(log: PredictionLog, text: str) -> Prediction:
    """Return the prediction with this id, or the only one whose id begins so.

    Raises:
        NotFoundError: There is none.
        DataError: Several ids begin so.
    """
    found = log.find(text) if log.path.exists() else []
    if not found:
        raise NotFoundError(
            f"no prediction {text!r}", where=str(log.path), fix="give the id of an answer of the API, or of the log"
        )
    if len(found) > 1:
        raise DataError(f"several predictions begin with {text!r}", found=[item.id for item in found])
    return found[0]


def trace(
    problem: Problem,
    prediction: Prediction,
    versions: Versions,
    history: Sequence[Record],
    snapshot: Snapshot,
    *,
    feature: str | None = None,
    unfolded: int = 3,
    most: int = 10,
) -> Trace:
    """Trace a logged prediction.

    Args:
        problem: The problem.
        prediction: The logged prediction.
        versions: Gives the bundles of model versions.
        history: Changes of champion.
        snapshot: The lake's present tables.
        feature: Name or column of the only feature to trace; None: all.
        unfolded: Number of features to unfold to raw rows; a named one always is.
        most: Number of raw rows of each aggregation.

    Raises:
        NotFoundError: The version, or the named feature, does not exist.
    """
    bundle = versions.bundle(prediction.model_version)
    definitions = _named(bundle.definitions, feature, prediction.id)
    recomputed = recompute(problem, bundle.definitions, [prediction], snapshot)
    contributions = _contributions(bundle, recomputed)
    features = [_feature(item, prediction, recomputed, contributions) for item in definitions]
    order = sorted(range(len(features)), key=lambda at: -abs(features[at].contribution or 0.0))
    traced = [features[at] for at in order]
    if recomputed.predictions:
        for place, at in enumerate(order[: 1 if feature else unfolded]):
            tree = feature_tree(problem, definitions[at], recomputed, 0, snapshot, most=most)
            traced[place] = replace(traced[place], tree=tree)
    return Trace(
        id=prediction.id,
        made=iso(prediction.made_us),
        cutoff=iso(prediction.cutoff_us),
        source=prediction.source,
        value=prediction.probability,
        join_keys=prediction.join_keys,
        row_key=list(prediction.row_key),
        request=prediction.request,
        ticks={name: iso(tick) for name, tick in prediction.ticks.items()},
        statuses=prediction.statuses,
        version=_version(prediction.model_version, bundle, history),
        features=tuple(traced),
        note=recomputed.unchecked.get(prediction.id, ""),
    )


def _named(definitions: Sequence[Definition], feature: str | None, where: str) -> list[Definition]:
    named = [item for item in definitions if feature in (None, item.name, item.slug)]
    if not named:
        names = [item.name for item in definitions]
        raise NotFoundError(f"no feature {feature!r}", where=f"prediction {where}", found=names)
    return named


def _contributions(bundle: Bundle, recomputed: Recomputed) -> dict[str, float]:
    """Return slug -> contribution (Shapley value) to the prediction; empty where it cannot be recomputed."""
    if not recomputed.predictions:
        return {}
    design = bundle.encoder.encode(recomputed.features)
    values = np.asarray(bundle.fitted.contributions(design), dtype=np.float64)[0]
    return dict(zip(design.names, map(float, values), strict=True))


def _feature(
    definition: Definition, prediction: Prediction, recomputed: Recomputed, contributions: Mapping[str, float]
) -> TracedFeature:
    is_checked = bool(recomputed.predictions)
    return TracedFeature(
        name=definition.name,
        words=words(definition),
        served=prediction.features.get(definition.slug),
        recomputed=recomputed.features[definition.slug][0].as_py() if is_checked else None,
        same=not different_rows(recomputed, definition) if is_checked else None,
        contribution=contributions.get(definition.slug),
    )


def _version(version: str, bundle: Bundle, history: Sequence[Record]) -> TracedVersion:
    promotions = [item for item in history if item.version == version]
    trained = bundle.windows.get("trained_until_us")
    return TracedVersion(
        version=version,
        family=bundle.family,
        service=bundle.service,
        sha256=manifest_digest(bundle.folder) if bundle.folder else "",
        trained_until=iso(int(trained)) if trained is not None else "",
        metrics=bundle.metrics,
        champion_since=iso(promotions[0].at_us) if promotions else "",
        reason=promotions[0].reason if promotions else "",
    )
