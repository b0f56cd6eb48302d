"""AutoGluon: TabularPredictor, preset best_quality, without ray; regression of log(1 + price)."""

import time

import numpy as np
from autogluon.tabular import TabularPredictor, __version__
from contract import TARGET, Given, finish


def main():
    given = Given()
    started = time.monotonic()
    train = given.X.assign(**{TARGET: np.log1p(given.y)})
    predictor = TabularPredictor(
        label=TARGET, eval_metric="root_mean_squared_error", path=str(given.out / "models"), verbosity=1
    )
    predictor.fit(
        train, time_limit=given.seconds, presets="best_quality", num_cpus=given.cores, num_gpus=0,
        ag_args_ensemble={"fold_fitting_strategy": "sequential_local"}, dynamic_stacking=False,
    )  # fmt: skip
    fit_s = time.monotonic() - started
    best, tried, at = predictor.model_best, [], 0.0
    weights = _weights(predictor, best)
    for _, row in predictor.leaderboard().sort_values("fit_order").iterrows():
        at += float(row["fit_time_marginal"])
        if "WeightedEnsemble" not in row["model"]:
            tried.append([at, row["model"], -float(row["score_val"]), weights.get(row["model"], 0.0)])
    text = ", ".join(f"{name} {weight:.2f}" for name, weight in sorted(weights.items(), key=lambda item: -item[1]))
    finish(given, lambda rows: np.expm1(predictor.predict(rows)), tried, __version__, f"{best}: {text}", fit_s,
           note="times of the configurations are summed in their order")  # fmt: skip


def _weights(predictor, best):
    info = predictor.info()["model_info"].get(best, {})
    children = info.get("children_info", {})
    for child in children.values():
        if "model_weights" in child:
            return {name: float(weight) for name, weight in child["model_weights"].items()}
    return {best: 1.0}


if __name__ == "__main__":
    main()
