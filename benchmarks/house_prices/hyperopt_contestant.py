"""XGBoost tuned by hand-written Hyperopt, as the article's assignment asks: five folds, TPE, early stopping."""

import time

import hyperopt
import numpy as np
import xgboost
from contract import Given, finish
from hyperopt import fmin, hp, tpe
from sklearn.model_selection import KFold

SPACE = {
    "learning_rate": hp.loguniform("learning_rate", np.log(0.01), np.log(0.2)),
    "max_depth": hp.quniform("max_depth", 2, 8, 1),
    "min_child_weight": hp.loguniform("min_child_weight", np.log(0.5), np.log(20)),
    "subsample": hp.uniform("subsample", 0.5, 1.0),
    "colsample_bytree": hp.uniform("colsample_bytree", 0.2, 1.0),
    "reg_alpha": hp.loguniform("reg_alpha", np.log(1e-4), np.log(5)),
    "reg_lambda": hp.loguniform("reg_lambda", np.log(1e-3), np.log(20)),
}
ROUNDS, PATIENCE = 3000, 50
REFIT_SHARE = 0.9


def parameters(config, given):
    fixed = {"tree_method": "hist", "seed": given.seed, "nthread": given.cores}
    return {**config, "max_depth": int(config["max_depth"]), **fixed}


def main():
    given = Given(categories=True)
    started, label, tried = time.monotonic(), np.log1p(given.y.to_numpy()), []
    folds = list(KFold(5, shuffle=True, random_state=given.seed).split(given.X))
    sets = [
        tuple(xgboost.DMatrix(given.X.iloc[rows], label[rows], enable_categorical=True) for rows in fold)
        for fold in folds
    ]

    def loss(config):
        losses, rounds = [], []
        for train, valid in sets:
            booster = xgboost.train(parameters(config, given), train, ROUNDS, evals=[(valid, "valid")],
                                    early_stopping_rounds=PATIENCE, verbose_eval=False)  # fmt: skip
            losses.append(booster.best_score)
            rounds.append(booster.best_iteration + 1)
        value = float(np.sqrt(np.mean(np.square(losses))))
        tried.append([time.monotonic() - started, "xgboost", value, 0.0, config, round(np.mean(rounds))])
        return {"loss": value, "status": hyperopt.STATUS_OK}

    fmin(loss, SPACE, algo=tpe.suggest, max_evals=10_000, timeout=REFIT_SHARE * given.seconds,
         rstate=np.random.default_rng(given.seed), show_progressbar=False)  # fmt: skip
    best = min(tried, key=lambda one: one[2])
    best[3] = 1.0
    whole = xgboost.DMatrix(given.X, label, enable_categorical=True)
    booster = xgboost.train(parameters(best[4], given), whole, best[5])

    def predict(rows):
        return np.expm1(booster.predict(xgboost.DMatrix(rows, enable_categorical=True)))

    finish(given, predict, [one[:4] for one in tried], f"{xgboost.__version__}, {hyperopt.__version__}",
           f"the best of {len(tried)} configurations, fitted on all rows, {best[5]} rounds",
           time.monotonic() - started)  # fmt: skip


if __name__ == "__main__":
    main()
