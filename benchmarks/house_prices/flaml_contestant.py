"""FLAML: AutoML with its defaults, regression of log(1 + price), rmse."""

import time

import flaml
import numpy as np
from contract import Given, finish
from flaml.automl.data import get_output_from_log


def main():
    given = Given(categories=True)
    started, log = time.monotonic(), given.out / "flaml.log"
    model = flaml.AutoML()
    model.fit(X_train=given.X, y_train=np.log1p(given.y), task="regression", metric="rmse", time_budget=given.seconds,
              n_jobs=given.cores, seed=given.seed, log_file_name=str(log), log_type="all", verbose=0)  # fmt: skip
    fit_s = time.monotonic() - started
    tried = []
    times, _, losses, configs, _ = get_output_from_log(str(log), time_budget=10 * given.seconds)
    for finished, loss, config in zip(times, losses, configs, strict=True):
        tried.append([finished, config["Current Learner"], loss, 0.0])
    if tried:
        min(tried, key=lambda one: one[2])[3] = 1.0
    finish(given, lambda rows: np.expm1(model.predict(rows)), tried, flaml.__version__,
           f"{model.best_estimator}, refitted", fit_s)  # fmt: skip


if __name__ == "__main__":
    main()
