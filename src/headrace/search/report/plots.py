"""Draw PNG plots of a study for MLflow, from its trials: the history of the metric, and parameter importances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.models.figures import saved_axes
from headrace.search.space import Choice, Parameter, Space, active_parameters, all_parameters
from headrace.search.trial import Trial

#: Fewest trials with a loss from which importances are estimated.
_MIN_TRIALS = 5
_MAX_BARS = 15


def plot_history(trials: Sequence[Trial], path: Path, *, metric: str, greater_is_better: bool) -> Path:
    """Plot each trial's metric by number, failed trials as crosses, and the incumbent as a line."""
    sign = -1.0 if greater_is_better else 1.0
    finished = [trial for trial in trials if trial.loss is not None]
    numbers = [trial.number for trial in finished]
    losses = np.array([trial.loss for trial in finished], dtype=np.float64)
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
    """Estimate parameter importances: permutation importance in a random forest of the loss, scaled to sum to 1.

    Args:
        space: The searched space.
        trials: All trials; those without a loss are ignored.
        seed: Of the forest and of the permutations.

    Returns:
        Parameter -> share, the largest first; empty where fewer than five trials have a loss. A parameter that is
        inactive in a trial takes its mean there.
    """
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    finished = [trial for trial in trials if trial.loss is not None]
    if len(finished) < _MIN_TRIALS:
        return {}
    keys = [key for key, _ in all_parameters(space)]
    X, y = _table(space, finished), np.array([trial.loss for trial in finished], dtype=np.float64)
    forest = RandomForestRegressor(n_estimators=100, random_state=seed, n_jobs=1).fit(X, y)
    drops = permutation_importance(forest, X, y, n_repeats=10, random_state=seed, n_jobs=1).importances_mean
    positive = np.maximum(drops, 0.0)
    total = float(positive.sum())
    shares = positive / total if total > 0 else positive
    return dict(sorted(zip(keys, shares.tolist(), strict=True), key=lambda item: -item[1]))


def plot_importances(space: Space, trials: Sequence[Trial], path: Path, *, seed: int = 0) -> dict[str, float]:
    """Plot `importances` as bars, the largest on top, and return them."""
    shares = importances(space, trials, seed=seed)
    bars = list(shares.items())[:_MAX_BARS][::-1]
    with saved_axes(path, height=1.5 + 0.3 * max(len(bars), 4)) as axes:
        if bars:
            axes.barh([key for key, _ in bars], [share for _, share in bars], color="#4878a8")
        else:
            axes.text(0.5, 0.5, "too few finished trials", ha="center", transform=axes.transAxes)
        axes.set_xlabel("share of the loss explained (permutation in a random forest)")
    return shares


def _table(space: Space, trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Encode trials as [trials, parameters]: numbers (or logarithms), option indices, column means where inactive."""
    keys = [key for key, _ in all_parameters(space)]
    X = np.full((len(trials), len(keys)), np.nan)
    for row, trial in enumerate(trials):
        for key, parameter in active_parameters(space, trial.config):
            X[row, keys.index(key)] = _coordinate(parameter, trial.config[key])
    for column in X.T:
        finite = np.isfinite(column)
        column[~finite] = column[finite].mean() if finite.any() else 0.0
    return X


def _coordinate(parameter: Parameter, value: object) -> float:
    if isinstance(parameter, Choice):
        return float(list(parameter.options).index(str(value)))
    if hasattr(parameter, "options"):
        return float(parameter.options.index(value))
    number = float(value)  # type: ignore[arg-type]
    return float(np.log(number)) if parameter.log else number
