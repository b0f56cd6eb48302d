"""The leaderboard of a search: its configurations, best first, with their weights in the ensemble."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from headrace.automl.engine import Outcome
from headrace.automl.task.metrics import metric_of

COLUMNS = ("trial", "family", "value", "weight", "status", "seconds", "predict_us", "finished_s", "config")


def leaderboard(outcome: Outcome) -> pd.DataFrame:
    """Return all configurations, best first, the ensemble at the head.

    Args:
        outcome: Result of a search.

    Returns:
        Columns: trial (-1: the ensemble), family, value of the metric, weight in the ensemble, status, seconds of its
        trial, predict_us (microseconds a row in validation, one fold), finished_s (seconds from the start), config
        (JSON).
    """
    metric = metric_of(outcome.model.task)
    sign = -1.0 if metric.greater_is_better else 1.0
    weights = {member.trial: member.weight for member in outcome.model.members}
    rows = [
        {
            "trial": trial.number,
            "family": trial.config["family"],
            "value": None if trial.loss is None else sign * trial.loss,
            "weight": weights.get(trial.number, 0.0),
            "status": trial.status,
            "seconds": round(trial.seconds, 2),
            "predict_us": trial.info.get("predict_us"),
            "finished_s": round(outcome.finished_s.get(trial.number, float("nan")), 1),
            "config": json.dumps(_own(trial.config)),
            "_order": (trial.status != "ok", float("inf") if trial.loss is None else trial.loss, trial.number),
        }
        for trial in outcome.trials
    ]
    rows += [
        {
            "trial": number,
            "family": f"{stacked.config['family']}, second level",
            "value": sign * outcome.assembly.second_level_loss(number, outcome.model.task),
            "weight": weights[number],
            "status": "ok",
            "seconds": round(stacked.seconds, 2),
            "predict_us": None,
            "finished_s": round(outcome.seconds, 1),
            "config": json.dumps(_own(stacked.config)),
            "_order": (False, outcome.assembly.second_level_loss(number, outcome.model.task), number),
        }
        for number, stacked in outcome.assembly.stacked.items()
    ]
    rows.sort(key=lambda row: row["_order"])  # type: ignore[arg-type,return-value]
    costs = [row["predict_us"] for row in rows if row["weight"] and row["predict_us"] is not None]
    ensemble = {
        "trial": -1,
        "family": "ensemble",
        "value": sign * outcome.assembly.loss,
        "weight": 1.0,
        "status": "ok",
        "seconds": round(outcome.seconds, 2),
        "predict_us": float(sum(costs)),  # type: ignore[arg-type]
        "finished_s": round(outcome.seconds, 1),
        "config": "",
    }
    return pd.DataFrame([ensemble, *rows], columns=list(COLUMNS))


def _own(config: Mapping[str, object]) -> dict[str, object]:
    """Return a config without the family's prefix."""
    prefix = f"{config['family']}."
    return {key.removeprefix(prefix): value for key, value in config.items() if key != "family"}
