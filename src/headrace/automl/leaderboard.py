"""The leaderboard of a search: its configurations, best first, with their weights in the ensemble."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from headrace.automl.engine import Outcome
from headrace.automl.task.metrics import metric_of
from headrace.automl.trials.fitting import split_table_config
from headrace.search.trial import Trial

COLUMNS = ("trial", "family", "value", "weight", "status", "seconds", "predict_us", "finished_s", "config")
#: Number of the row of the ensemble, which no trial has.
_ENSEMBLE = -1


def leaderboard(outcome: Outcome) -> pd.DataFrame:
    """Return all configurations, best first, the ensemble at the head.

    Args:
        outcome: Result of a search.

    Returns:
        Columns: trial (-1: the ensemble), family, value of the metric, weight in the ensemble, status, seconds of its
        trial, predict_us (microseconds a row in validation of one fold's preparation and model), finished_s (seconds
        from the start), config (JSON).
    """
    weights = {member.trial: member.weight for member in outcome.model.members}
    rows = sorted([*_trials(outcome, weights), *_second_level(outcome, weights)], key=lambda row: row.order)
    cost = _cost([trial for trial in outcome.trials if weights.get(trial.number)])
    sign = -1.0 if metric_of(outcome.model.task).greater_is_better else 1.0
    return pd.DataFrame([row.cells(sign) for row in (_ensemble(outcome, cost), *rows)], columns=list(COLUMNS))


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row of the leaderboard; `loss` is the metric with its sign such that lower is better.

    `config` is None for the ensemble. The other fields are columns of the result.
    """

    trial: int
    family: str
    loss: float | None
    weight: float
    status: str
    seconds: float
    predict_us: float | None
    finished_s: float
    config: Mapping[str, object] | None

    @property
    def order(self) -> tuple[bool, float, int]:
        """Completed configurations first, the one with the least loss at the head."""
        return self.status != "ok", float("inf") if self.loss is None else self.loss, self.trial

    def cells(self, sign: float) -> dict[str, object]:
        """Return column -> cell; `sign` turns a loss into the metric."""
        return {
            "trial": self.trial,
            "family": self.family,
            "value": None if self.loss is None else sign * self.loss,
            "weight": self.weight,
            "status": self.status,
            "seconds": round(self.seconds, 2),
            "predict_us": self.predict_us,
            "finished_s": round(self.finished_s, 1),
            "config": "" if self.config is None else json.dumps(_without_family(self.config)),
        }


def _trials(outcome: Outcome, weights: Mapping[int, float]) -> list[_Row]:
    return [
        _Row(
            trial=trial.number,
            family=str(trial.config["family"]),
            loss=trial.loss,
            weight=weights.get(trial.number, 0.0),
            status=trial.status,
            seconds=trial.seconds,
            predict_us=_cost([trial]) if "predict_us" in trial.info else None,
            finished_s=outcome.finished_s.get(trial.number, float("nan")),
            config=trial.config,
        )
        for trial in outcome.trials
    ]


def _cost(trials: Sequence[Trial]) -> float:
    """Return the microseconds a row of the models of trials and of their preparations, which some of them share."""
    prepare_us = {split_table_config(trial.config)[2]: trial.info["prepare_us"] for trial in trials}
    return float(sum(prepare_us.values()) + sum(trial.info["predict_us"] for trial in trials))


def _second_level(outcome: Outcome, weights: Mapping[int, float]) -> list[_Row]:
    """Return the rows of models that learn from the predictions of others; they are fitted at the end."""
    return [
        _Row(
            trial=number,
            family=f"{stacked.config['family']}, second level",
            loss=outcome.assembly.second_level_loss(number, outcome.model.task),
            weight=weights[number],
            status="ok",
            seconds=stacked.seconds,
            predict_us=None,
            finished_s=outcome.seconds,
            config=stacked.config,
        )
        for number, stacked in outcome.assembly.stacked.items()
    ]


def _ensemble(outcome: Outcome, predict_us: float) -> _Row:
    return _Row(
        trial=_ENSEMBLE,
        family="ensemble",
        loss=outcome.assembly.loss,
        weight=1.0,
        status="ok",
        seconds=outcome.seconds,
        predict_us=predict_us,
        finished_s=outcome.seconds,
        config=None,
    )


def _without_family(config: Mapping[str, object]) -> dict[str, object]:
    """Return a config without its family, and without that prefix of the other names."""
    prefix = f"{config['family']}."
    return {key.removeprefix(prefix): value for key, value in config.items() if key != "family"}
