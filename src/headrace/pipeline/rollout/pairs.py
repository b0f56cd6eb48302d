"""Read the rows that champion and challenger both predicted during a rollout, with the labels that are known by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import DAY, NEVER
from headrace.evaluate.metrics import Floats
from headrace.lake.keys import Key, read_logged_key, read_value, row_keys, value_text
from headrace.lake.store import Lake, Snapshot
from headrace.pipeline.context import Context
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.prediction_log.rows import shadow_id
from headrace.registry.rollout_tables import RolloutStep
from headrace.schema import Every
from headrace.synthesis.spine.build import build_spine, labels_at, spine_key_types

#: A request may be answered this long before or after the cutoff of its row in the spine.
_REACH_US = 30 * DAY


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Rows that both versions predicted. Rows are sorted by the instant at which their label became known.

    Attributes:
        label: Labels [n].
        known_us: Instants at which they became known [n], microseconds UTC.
        champion: Predictions of the champion [n].
        challenger: Predictions of the challenger [n].
        predicted: Rows that the challenger predicted since the last step of the rollout, labelled or not.
        answered: Of them those that it answered.
    """

    label: Floats
    known_us: NDArray[np.int64]
    champion: Floats
    challenger: Floats
    predicted: int = 0
    answered: int = 0


def read_pairs(context: Context, step: RolloutStep, began_us: int, now_us: int) -> Pairs:
    """Read the pairs of a rollout.

    A row that was predicted several times counts once, with its last prediction.

    Args:
        context: of the problem.
        step: the last step of the rollout.
        began_us: cutoffs from this instant on.
        now_us: labels known by then.
    """
    with PredictionLog(context.root, context.problem.name) as log:
        answers = [row for one in _versions(step) for row in log.read_by_cutoff(began_us, NEVER, version=one)]
        shadows = {row.id: row for one in _versions(step) for row in log.shadows(began_us, NEVER, version=one)}
    both = [(row, shadows[shadow_id(row.id)]) for row in answers if shadow_id(row.id) in shadows]
    own = [row for row in (*answers, *shadows.values()) if row.model_version == step.version]
    recent = [row for row in own if row.made_us >= step.at_us]
    counts = {"predicted": len(recent), "answered": sum(row.source != "shadow" for row in recent)}
    snapshot = Lake(context.root, context.problem.name).snapshot()
    types = spine_key_types(context.problem, snapshot) if both else []
    by_row: dict[Key, tuple[Prediction, Prediction]] = {}
    for answer, shadow in sorted(both, key=lambda pair: (pair[0].made_us, pair[0].id)):
        by_row[_spine_key(answer, types)] = (answer, shadow)
    labels = _labels(context, snapshot, {key: pair[0] for key, pair in by_row.items()}, now_us) if by_row else {}
    rows = [(*labels[key], *_in_order(pair, step)) for key, pair in by_row.items() if key in labels]
    rows.sort(key=lambda row: row[1])
    label, known, champion, challenger = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    return Pairs(
        label=np.array(label, dtype=np.float64),
        known_us=np.array(known, dtype=np.int64),
        champion=np.array(champion, dtype=np.float64),
        challenger=np.array(challenger, dtype=np.float64),
        **counts,
    )


def _versions(step: RolloutStep) -> tuple[str, str]:
    return step.champion, step.version


def _in_order(pair: tuple[Prediction, Prediction], step: RolloutStep) -> tuple[float, float]:
    """The predictions of champion and challenger, whichever of them answered."""
    first, second = (float(row.probability) for row in pair if row.probability is not None)
    return (second, first) if pair[0].model_version == step.version else (first, second)


def _spine_key(row: Prediction, types: Sequence[pa.DataType]) -> Key:
    """The spine row that a prediction is about; its own id where the request did not name one in full."""
    return read_logged_key(row.row_key, types) if len(row.row_key) == len(types) else (row.id,)


def _labels(
    context: Context, snapshot: Snapshot, rows: Mapping[Key, Prediction], now_us: int
) -> dict[Key, tuple[float, int]]:
    """Row key -> its label and when it became known, for labels known by now."""
    problem = context.problem
    if isinstance(problem.spine, Every):  # requests fall between the instants of its schedule, and have labels too
        key, kind = problem.spine_table.keys[0], spine_key_types(problem, snapshot)[0]
        texts = [value_text(read_value(row.join_keys[key], kind, key)) for row in rows.values()]
        cutoffs = np.array([row.cutoff_us for row in rows.values()], dtype=np.int64)
        own = pa.table({key: pa.array(texts, pa.string()).cast(kind)})
        spine, keys = labels_at(problem, snapshot, own, cutoffs, now_us, context.engine), list(rows)
    else:
        at = [row.cutoff_us for row in rows.values()]
        start_us, end_us = min(at) - _REACH_US, max(at) + _REACH_US
        spine = build_spine(problem, snapshot, start_us=start_us, end_us=end_us, now_us=now_us, engine=context.engine)
        keys = row_keys(spine, problem.spine_table.keys)
    known = zip(keys, spine["label"].to_pylist(), spine["label_known"].to_pylist(), strict=True)
    return {key: (float(label), int(at_us)) for key, label, at_us in known if key in rows and label is not None}
