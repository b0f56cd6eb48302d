"""Headrace: HeadraceRegressor with the metric rmsle; nothing else is set."""

import time
from pathlib import Path

from contract import Given, finish

from headrace import __version__
from headrace.automl import HeadraceRegressor
from headrace.automl.report.page import write_page


def main():
    given = Given()
    started = time.monotonic()
    model = HeadraceRegressor(seconds=given.seconds, metric="rmsle", random_state=given.seed)
    model.fit(given.X, given.y, X_predict=given.test)
    fit_s = time.monotonic() - started
    board = model.leaderboard()
    tried = board[(board["trial"] >= 0) & (board["status"] == "ok")]
    weights = tried[tried["weight"] > 0].groupby("family")["weight"].sum().sort_values(ascending=False)
    text = ", ".join(f"{family} {weight:.2f}" for family, weight in weights.items())
    page = Path(given.out) / "report.html"
    write_page(model.outcome_, given.X, page, title="Headrace on Ames", notes=model.notes_, explain_s=0)
    finish(given, model.predict, tried[["finished_s", "family", "value", "weight"]].to_numpy(), __version__,
           f"ensemble of {int((tried['weight'] > 0).sum())}: {text}", fit_s)  # fmt: skip


if __name__ == "__main__":
    main()
