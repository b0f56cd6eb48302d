"""Pictures of a study: how the incumbent got better, and which parameters mattered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.models.figures import saved_axes
from headrace.search.space import Choice, Parameter, Space, active, every_parameter
from headrace.search.trial import Trial

#: Fewer finished trials than this say nothing about which parameter mattered.
_MIN_TRIALS = 5
_SHOWN = 15


def plot_history(trials: Sequence[Trial], path: Path, *, metric: str, greater_is_better: bool) -> Path:
    """Each trial's metric by number, failed ones as crosses, and the incumbent's as a line."""
    sign = -1.0 if greater_is_better else 1.0
    good = [trial for trial in trials if trial.loss is not None]
    numbers = [trial.number for trial in good]
    losses = np.array([trial.loss for trial in good], dtype=np.float64)
    with saved_axes(path) as axes:
        axes.scatter(numbers, sign * losses, s=24, color="#4878a8", label="trial")
        if len(losses):
            axes.step(numbers, sign * np.minimum.accumulate(losses), where="post", color="#c44e52", label="incumbent")
        failed = [trial.number for trial in trials if trial.loss is None]
        if failed:
            floor = float((sign * losses).min()) if len(losses) else 0.0
            axes.scatter(failed, [floor] * len(failed), marker="x", color="#555555", label="failed")
        axes.set_xlabel("trial")
        axes.set_ylabel(f"{metric} ({'higher' if greater_is_better else 'lower'} is better)")
        axes.legend(frameon=False)
    return path


def importances(space: Space, trials: Sequence[Trial], *, seed: int = 0) -> dict[str, float]:
    """Share of what a random forest knows about the loss that is lost when a parameter is shuffled; sums to 1.

    Empty where fewer than five trials finished. A parameter that is inactive in a trial counts as its mean there.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    good = [trial for trial in trials if trial.loss is not None]
    if len(good) < _MIN_TRIALS:
        return {}
    keys = [key for key, _ in every_parameter(space)]
    X, y = _table(space, good), np.array([trial.loss for trial in good], dtype=np.float64)
    forest = RandomForestRegressor(n_estimators=100, random_state=seed, n_jobs=1).fit(X, y)
    drops = permutation_importance(forest, X, y, n_repeats=10, random_state=seed, n_jobs=1).importances_mean
    positive = np.maximum(drops, 0.0)
    total = float(positive.sum())
    shares = positive / total if total > 0 else positive
    return dict(sorted(zip(keys, shares.tolist(), strict=True), key=lambda item: -item[1]))


def plot_importances(space: Space, trials: Sequence[Trial], path: Path, *, seed: int = 0) -> dict[str, float]:
    """Bars of `importances`, the largest on top; what was drawn is returned."""
    shares = importances(space, trials, seed=seed)
    shown = list(shares.items())[:_SHOWN][::-1]
    with saved_axes(path, height=1.5 + 0.3 * max(len(shown), 4)) as axes:
        if shown:
            axes.barh([key for key, _ in shown], [share for _, share in shown], color="#4878a8")
        else:
            axes.text(0.5, 0.5, "too few finished trials", ha="center", transform=axes.transAxes)
        axes.set_xlabel("share of the loss explained (permutation in a random forest)")
    return shares


def _table(space: Space, trials: Sequence[Trial]) -> NDArray[np.float64]:
    """[trials, parameters]: numbers (or their logarithm), options by position, inactive ones as the column's mean."""
    keys = [key for key, _ in every_parameter(space)]
    X = np.full((len(trials), len(keys)), np.nan)
    for row, trial in enumerate(trials):
        for key, parameter in active(space, trial.config):
            X[row, keys.index(key)] = _coordinate(parameter, trial.config[key])
    for column in X.T:
        known = np.isfinite(column)
        column[~known] = column[known].mean() if known.any() else 0.0
    return X


def _coordinate(parameter: Parameter, value: object) -> float:
    if isinstance(parameter, Choice):
        return float(list(parameter.options).index(str(value)))
    if hasattr(parameter, "options"):
        return float(parameter.options.index(value))
    number = float(value)  # type: ignore[arg-type]
    return float(np.log(number)) if parameter.log else number
