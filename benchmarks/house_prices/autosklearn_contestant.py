"""auto-sklearn 0.15 (Feurer et al., 2015): AutoSklearnRegressor with its defaults; regression of log(1 + price)."""

import time

import autosklearn
import numpy as np
from autosklearn.metrics import root_mean_squared_error
from autosklearn.regression import AutoSklearnRegressor
from contract import Given, finish

MEMORY_MB = 6144


def main():
    given = Given(categories=True)
    started = time.time()
    model = AutoSklearnRegressor(
        time_left_for_this_task=max(int(given.seconds), 30), per_run_time_limit=max(int(given.seconds / 10), 10),
        metric=root_mean_squared_error, seed=given.seed, n_jobs=2, memory_limit=MEMORY_MB,
    )  # fmt: skip
    model.fit(given.X, np.log1p(given.y))
    fit_s = time.time() - started
    ids = {run_id: weight for weight, run_id in _weighted(model)}
    tried = []
    for key, value in model.automl_.runhistory_.data.items():
        config = model.automl_.runhistory_.ids_config[key.config_id]
        if value.status.name == "SUCCESS":
            finished = value.starttime + value.time - started
            weight = ids.get(key.config_id, 0.0)
            tried.append([finished, config["regressor:__choice__"], float(value.cost), weight])
    board = model.leaderboard()
    kinds = board.groupby("type")["ensemble_weight"].sum().sort_values(ascending=False)
    failed = sum(value.status.name != "SUCCESS" for value in model.automl_.runhistory_.data.values())
    finish(given, lambda rows: np.expm1(model.predict(rows)), tried, autosklearn.__version__,
           f"ensemble of {len(board)}: " + ", ".join(f"{kind} {weight:.2f}" for kind, weight in kinds.items()), fit_s,
           note=f"{failed} of {failed + len(tried)} runs failed or were cut; models of a hold-out")  # fmt: skip


def _weighted(model):
    """Return (weight, config id) of the members; auto-sklearn numbers its runs one higher than SMAC its configs."""
    board = model.leaderboard(detailed=True)
    return [(float(row["ensemble_weight"]), int(row["config_id"])) for _, row in board.reset_index().iterrows()]


if __name__ == "__main__":
    main()
