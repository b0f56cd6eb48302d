"""The part of a study's report about the champion's study: which configs came from it, and their rank there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.core.fingerprint import fingerprint
from headrace.evaluate.metrics import Metric
from headrace.search.transfer.known import KnownTrial
from headrace.search.trial import Trial


@dataclass(frozen=True, kw_only=True)
class KnownConfig:
    """A trial whose config the champion's study had evaluated.

    Attributes:
        trial: Number of the trial.
        rank: Rank of the config there, 1 is the best.
        earlier: The metric there; None where that trial was stopped early.
        value: The metric here; None where this trial was stopped or failed.
    """

    trial: int
    rank: int
    earlier: float | None
    value: float | None


def known_configs(known: Sequence[KnownTrial], trials: Sequence[Trial], metric: Metric) -> list[KnownConfig]:
    """Find the trials whose config is known, by number.

    Args:
        known: Trials of the champion's study.
        trials: Trials of this study.
        metric: Its direction decides how losses are shown.
    """
    ranked = sorted(known, key=lambda trial: trial.loss)
    places = {fingerprint(trial.config): rank for rank, trial in enumerate(ranked, start=1)}
    found = []
    for trial in trials:
        rank = places.get(fingerprint(trial.config))
        if rank is not None:
            earlier = ranked[rank - 1]
            finished = trial.status == "ok" and trial.loss is not None
            found.append(
                KnownConfig(
                    trial=trial.number,
                    rank=rank,
                    earlier=-metric.sign * earlier.loss if earlier.finished else None,
                    value=-metric.sign * float(trial.loss or 0.0) if finished else None,
                )
            )
    return found
