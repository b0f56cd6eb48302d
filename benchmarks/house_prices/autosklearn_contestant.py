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
        metric=root_mean_squared_error, seed=given.seed, n_jobs=given.cores, memory_limit=MEMORY_MB,
    )  # fmt: skip
    model.fit(given.X, np.log1p(given.y))
    fit_s = time.time() - started
    weights = _weights(model)
    tried, kinds = [], {}
    for key, value in model.automl_.runhistory_.data.items():
        config = model.automl_.runhistory_.ids_config[key.config_id]
        if value.status.name == "SUCCESS":
            finished = value.starttime + value.time - started
            weight = weights.get((value.additional_info or {}).get("num_run"), 0.0)
            kind = config["regressor:__choice__"]
            tried.append([finished, kind, float(value.cost), weight])
            kinds[kind] = kinds.get(kind, 0.0) + weight
    members = sorted(((weight, kind) for kind, weight in kinds.items() if weight), reverse=True)
    failed = sum(value.status.name != "SUCCESS" for value in model.automl_.runhistory_.data.values())
    finish(given, lambda rows: np.expm1(model.predict(rows)), tried, autosklearn.__version__,
           f"ensemble of {len(weights)}: " + ", ".join(f"{kind} {weight:.2f}" for weight, kind in members), fit_s,
           note=f"{failed} of {failed + len(tried)} runs failed or were cut; models of a hold-out")  # fmt: skip


def _weights(model):
    """Return weight of each member by the number of its run; `leaderboard` fails where one is not in the history."""
    return {run: float(weight) for (_, run, _), weight in model.automl_.ensemble_.get_identifiers_with_weights()}


if __name__ == "__main__":
    main()
