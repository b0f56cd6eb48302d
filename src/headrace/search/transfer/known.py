"""Compare the trials of an earlier study with those of a new one on other rows, and carry both on to the next study.

Losses of two studies differ in level: the rows are others. Both have evaluated some configs, so the shift between them
is estimated from these pairs:

    shift = median over common configs of (loss in the new study - loss in the earlier one)

The first configs of a new study are the earlier one's best, chosen by a loss with noise, so the shift is a little too
high. That ranks the other earlier trials a little behind, and changes no order among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from headrace.core.fingerprint import fingerprint
from headrace.search.space import Config, Space, config_errors
from headrace.search.trial import Trial

#: The file of a search that holds what the next one knows: a JSON list of KnownTrial.
STUDY = "study.json"
#: Trials that are carried on at most: the Gaussian process fits two hundred, and old ones say little.
MAX_CARRIED = 100


@dataclass(frozen=True, kw_only=True)
class KnownTrial:
    """A trial of an earlier study, of the champion or of the champions before it.

    Attributes:
        config: Its config.
        loss: Lower is better, at the level of the champion's study.
        finished: Whether it was evaluated at the full fidelity.
        age: Number of studies since the one that evaluated it; 0 for the champion's own.
    """

    config: Config
    loss: float
    finished: bool = True
    age: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KnownTrial:
        return cls(**data)


def fitting(space: Space, known: Sequence[KnownTrial]) -> tuple[KnownTrial, ...]:
    """Return the trials whose config belongs to a space, in their order."""
    return tuple(trial for trial in known if not config_errors(space, trial.config))


def measured_losses(trials: Sequence[Trial]) -> dict[int, float]:
    """Return number -> loss of the trials that have one.

    The loss of a stopped trial is that of a lower fidelity: it counts as no less than the median of the finished ones.
    """
    losses = {trial.number: trial.loss for trial in trials if trial.loss is not None}
    finished = [losses[trial.number] for trial in trials if trial.status == "ok" and trial.number in losses]
    floor = float(np.median(finished)) if finished else -np.inf
    return {
        trial.number: losses[trial.number] if trial.status == "ok" else max(losses[trial.number], floor)
        for trial in trials
        if trial.number in losses
    }


def level_shift(known: Sequence[KnownTrial], trials: Sequence[Trial]) -> float | None:
    """Estimate by how much losses of a new study exceed those of an earlier one.

    Args:
        known: Trials of the earlier study.
        trials: Trials of the new one.

    Returns:
        The median difference over the configs that both evaluated at the full fidelity; None where there is none.
    """
    earlier = {fingerprint(trial.config): trial.loss for trial in known if trial.finished}
    differences = [
        trial.loss - earlier[fingerprint(trial.config)]
        for trial in trials
        if trial.status == "ok" and trial.loss is not None and fingerprint(trial.config) in earlier
    ]
    return float(np.median(differences)) if differences else None


def carry_on(known: Sequence[KnownTrial], trials: Sequence[Trial]) -> tuple[KnownTrial, ...]:
    """Merge an earlier study and a new one into what the next one knows.

    Earlier losses are moved to the level of the new study. A config of both has the new loss. Without a common config
    the levels cannot be compared, and only the new trials are carried on.

    Args:
        known: What the new study knew.
        trials: Its own trials; failed ones are not carried on.

    Returns:
        At most `MAX_CARRIED` trials: the youngest, of one age those of least loss.
    """
    losses = measured_losses(trials)
    merged = {
        fingerprint(trial.config): KnownTrial(
            config=dict(trial.config), loss=losses[trial.number], finished=trial.status == "ok"
        )
        for trial in trials
        if trial.number in losses
    }
    shift = level_shift(known, trials)
    if shift is not None:
        for earlier in known:
            merged.setdefault(
                fingerprint(earlier.config), replace(earlier, loss=earlier.loss + shift, age=earlier.age + 1)
            )
    return tuple(sorted(merged.values(), key=lambda trial: (trial.age, trial.loss))[:MAX_CARRIED])
