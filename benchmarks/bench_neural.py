"""Networks beside LightGBM and scikit-learn's MLP at equal tuning time, on the tables of benchmarks.neural_tables.

    make bench-neural [QUICK=1] [SECONDS_EACH=60]

Each family has the same time on each table for its default and then random configs of its space; a config may take a
third of it. The number of rounds and the config are those of the least loss on the tune rows; the model that was
measured there predicts the judging rows. Time is that of the processor: other work on the machine costs no family more
than another. Results are kept in .headrace/bench/neural.jsonl: a run that is cut off goes on. QUICK=1 gives 8 s.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks.neural_tables import TABLES, Floats, JudgedTable
from benchmarks.results import Row, publish
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.models.families import get_family
from headrace.search.space import sample

QUICK = bool(os.environ.get("QUICK"))
SECONDS_EACH = float(os.environ.get("SECONDS_EACH") or (8 if QUICK else 60))
COMMAND = "make bench-neural" + (" QUICK=1" if QUICK else "" if SECONDS_EACH == 60 else f" SECONDS_EACH={SECONDS_EACH}")
KEPT = Path(".headrace/bench/neural.jsonl")
PATIENCE, SHARE = 15, 1 / 3
NETWORKS = ("mlp", "tabm", "tabnet")
LIGHTGBM, SKLEARN = "lightgbm", "scikit-learn's MLP"
CONTENDERS = (LIGHTGBM, *NETWORKS, SKLEARN)


def family_loss(table: JudgedTable, name: str, designs: list[Design], labels: list[Floats]) -> dict[str, float]:
    """Tune a family in its time; return tune_loss, loss (on the judging rows), configs and seconds."""
    family, metric, rng = get_family(name), METRICS[table.metric], np.random.default_rng(0)
    best, found, configs, started = float("inf"), float("nan"), 0, time.process_time()
    ends = started + SECONDS_EACH
    while time.process_time() < ends:
        config = sample(family.space(), rng) if configs else family.default()
        config_ends = min(time.process_time() + SHARE * SECONDS_EACH, ends)
        learner = family.learner(designs[0], labels[0], (designs[1], labels[1]), config, metric=metric)
        losses: list[float] = []
        while time.process_time() < config_ends and len(losses) - int(np.argmin(losses or [0])) <= PATIENCE:
            loss = learner.step()
            if loss is None:
                break
            losses.append(loss)
        configs += 1
        if losses and min(losses) < best:
            best = min(losses)
            found = metric.loss(labels[2], learner.fitted(int(np.argmin(losses)) + 1).predict(designs[2]))
    return {"tune_loss": best, "loss": found, "configs": configs, "seconds": time.process_time() - started}


def sklearn_loss(table: JudgedTable, designs: list[Design], labels: list[Floats]) -> dict[str, float]:
    """Fit scikit-learn's MLP with its defaults on scaled numbers and one-hot codes, with early stopping."""
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline

    from headrace.models.families.linear import _preparation

    metric, started = METRICS[table.metric], time.process_time()
    X, y = np.concatenate([designs[0].X, designs[1].X]), np.concatenate(labels[:2])
    kind = MLPClassifier if metric.binary else MLPRegressor
    middle, spread = (0.0, 1.0) if metric.binary else (float(y.mean()), float(y.std()) or 1.0)
    model = make_pipeline(
        _preparation(designs[0], "quantile", 0), kind(early_stopping=True, random_state=0, max_iter=200)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y if metric.binary else (y - middle) / spread)
    predicted = model.predict_proba(designs[2].X)[:, 1] if metric.binary else model.predict(designs[2].X)
    loss = metric.loss(labels[2], predicted * spread + middle)
    return {"loss": loss, "configs": 1, "seconds": time.process_time() - started}


def measure() -> dict[str, dict[str, dict[str, float]]]:
    """Return table -> contender -> result; those of an earlier run are read."""
    lines = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    known = {(line["table"], line["family"], line.get("seconds_each")): line["result"] for line in lines}
    results: dict[str, dict[str, dict[str, float]]] = {}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    for table in track(TABLES, "bench-neural"):
        parts: Any = None
        for name in CONTENDERS:
            key = (table.name, name, SECONDS_EACH)
            if key not in known:
                parts = parts or table.parts()
                known[key] = sklearn_loss(table, *parts) if name == SKLEARN else family_loss(table, name, *parts)
                line = {"table": table.name, "family": name, "seconds_each": SECONDS_EACH, "result": known[key]}
                with KEPT.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(table.name, name, known[key], flush=True)
            results.setdefault(table.name, {})[name] = known[key]
    return results


def best_network(each: dict[str, dict[str, float]]) -> float:
    """Return the judging loss of the network of the least tune loss."""
    name = min(NETWORKS, key=lambda name: each[name]["tune_loss"])
    return each[name]["loss"]


def wins(results: dict[str, dict[str, dict[str, float]]], loss: Any, peer: str, kind: str | None = None) -> float:
    """Return the share of tables, all or of a kind, on which a loss is below a contender's."""
    chosen = [results[table.name] for table in TABLES if kind in (None, table.kind)]
    return float(np.mean([loss(each) < each[peer]["loss"] for each in chosen]))


def main() -> None:
    """Measure, publish."""
    results = measure()
    rows = []
    for peer in (LIGHTGBM, SKLEARN):
        for kind in (None, "time-ordered", "random rows", "many levels"):
            words = f"the best network (by the tune rows) beats {peer}, {kind or 'all tables'}"
            rows.append(Row(metric=words, value=wins(results, best_network, peer, kind), unit="of tables",
                            command=COMMAND))  # fmt: skip
    for name in (*NETWORKS, SKLEARN):
        share = wins(results, lambda each, name=name: each[name]["loss"], LIGHTGBM)
        rows.append(Row(metric=f"{name} beats lightgbm", value=share, unit="of tables", command=COMMAND))
    for table in TABLES:
        sign = -1 if METRICS[table.metric].greater_is_better else 1
        for name in (*NETWORKS, SKLEARN):
            value, peer_value = (sign * results[table.name][each]["loss"] for each in (name, LIGHTGBM))
            rows.append(Row(metric=f"{table.name} ({table.kind}): {name}, {table.metric}", value=value, unit="",
                            peer=LIGHTGBM, peer_value=peer_value, command=COMMAND))  # fmt: skip
    publish("neural", "Networks beside LightGBM", rows, NOTE)


NOTE = f"""
Tables of at most 3,000 rows, or 20,000 where columns have many levels (1,000 are kept): 60 % train, 20 % tune, 20 %
judge. LightGBM and each network have {SECONDS_EACH:.0f} s of processor time a table for their default and random
configs; rounds and config are chosen on the tune rows. scikit-learn's MLP has its defaults. One split a table: single
rows say little.
"""

if __name__ == "__main__":
    main()
