"""Networks beside LightGBM and scikit-learn's MLP on the time-ordered tables of benchmarks.small_tables.

    make bench-neural [QUICK=1]

The rows of a table are ordered by time: 60 % train, 20 % tune, 20 % judge; at most 3,000 rows, evenly spaced. Each
family tries its default and random configs of its space. The number of rounds and the config are those of the least
loss on the tune rows; the model that was measured there predicts the judging rows. A config has a time limit, so a slow
family has fewer rounds. Results are kept in .headrace/bench/neural.jsonl: a run that is cut off goes on. QUICK=1 has
fewer configs and less time.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Row, publish
from benchmarks.small_tables import TABLES, SmallTable
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design, Encoder
from headrace.models.families import get_family
from headrace.search.space import sample

QUICK = bool(os.environ.get("QUICK"))
COMMAND = "make bench-neural" + (" QUICK=1" if QUICK else "")
KEPT = Path(".headrace/bench/neural.jsonl")
CONFIGS = 2 if QUICK else 12
CONFIG_S = 8.0 if QUICK else 60.0
MAX_ROWS, PATIENCE = 3_000, 15
NETWORKS = ("mlp", "tabm") if QUICK else ("mlp", "tabm", "tabnet")
FAMILIES = ("lightgbm", *NETWORKS)


def parts_of(table: SmallTable) -> tuple[list[Design], list[Any]]:
    """Return designs and labels of the train, tune and judging rows."""
    rows = table.read()
    chosen = np.unique(np.linspace(0, len(rows.label) - 1, min(MAX_ROWS, len(rows.label))).astype(np.int64))
    cuts = np.split(chosen, [round(0.6 * len(chosen)), round(0.8 * len(chosen))])
    encoder = Encoder.fit(rows.matrix.take(cuts[0]))
    return [encoder.encode(rows.matrix.take(cut)) for cut in cuts], [rows.label[cut] for cut in cuts]


def family_loss(table: SmallTable, name: str, designs: list[Design], labels: list[Any]) -> dict[str, float]:
    """Tune a family; return its loss on the judging rows, and its training time."""
    family, metric, rng = get_family(name), METRICS[table.metric], np.random.default_rng(0)
    configs = [family.default(), *(sample(family.space(), rng) for _ in range(CONFIGS - 1))]
    best, found, spent = float("inf"), float("nan"), time.monotonic()
    for config in configs:
        ends = time.monotonic() + CONFIG_S
        learner = family.learner(designs[0], labels[0], (designs[1], labels[1]), config, metric=metric)
        losses: list[float] = []
        while time.monotonic() < ends and len(losses) - int(np.argmin(losses or [0])) <= PATIENCE:
            loss = learner.step()
            if loss is None:
                break
            losses.append(loss)
        if losses and min(losses) < best:
            best = min(losses)
            found = metric.loss(labels[2], learner.fitted(int(np.argmin(losses)) + 1).predict(designs[2]))
    return {"loss": found, "seconds": time.monotonic() - spent}


def sklearn_loss(table: SmallTable, designs: list[Design], labels: list[Any]) -> dict[str, float]:
    """Fit scikit-learn's MLP with its defaults on scaled numbers and one-hot codes, with early stopping."""
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline

    from headrace.models.families.linear import _preparation

    metric, started = METRICS[table.metric], time.monotonic()
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
    return {"loss": metric.loss(labels[2], predicted * spread + middle), "seconds": time.monotonic() - started}


def measure() -> dict[str, dict[str, dict[str, float]]]:
    """Return table -> family -> result; those of an earlier run are read."""
    lines = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    known = {(line["table"], line["family"], line["quick"]): line["result"] for line in lines}
    results: dict[str, dict[str, dict[str, float]]] = {}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        designs: list[Design] = []
        for name in (*FAMILIES, "scikit-learn's MLP"):
            key = (table.name, name, QUICK)
            if key not in known:
                if not designs:
                    designs, labels = parts_of(table)
                known[key] = (
                    family_loss(table, name, designs, labels)
                    if name in FAMILIES
                    else sklearn_loss(table, designs, labels)
                )
                with KEPT.open("a") as file:
                    line = {"table": table.name, "family": name, "quick": QUICK, "result": known[key]}
                    file.write(json.dumps(line) + "\n")
                print(table.name, name, known[key], flush=True)
            results.setdefault(table.name, {})[name] = known[key]
    return results


def main() -> None:
    """Measure, publish."""
    results = measure()
    rows = []
    for name in (*NETWORKS, "scikit-learn's MLP"):
        wins = [each[name]["loss"] < each["lightgbm"]["loss"] for each in results.values()]
        rows.append(
            Row(metric=f"{name} beats LightGBM, best of {CONFIGS} configs each, of {len(wins)} tables",
                value=float(np.mean(wins)), unit="of tables", command=COMMAND)
        )  # fmt: skip
    best = [min(each[name]["loss"] for name in NETWORKS) for each in results.values()]
    peers = [each["scikit-learn's MLP"]["loss"] for each in results.values()]
    rows.append(
        Row(metric="the better network (chosen on the judging rows) beats scikit-learn's MLP",
            value=float(np.mean(np.array(best) < np.array(peers))), unit="of tables", command=COMMAND)
    )  # fmt: skip
    for table, each in results.items():
        for name in NETWORKS:
            metric = next(item.metric for item in TABLES if item.name == table)
            sign = -1 if METRICS[metric].greater_is_better else 1
            rows.append(
                Row(metric=f"{table}: {name}, {metric}", value=sign * each[name]["loss"], unit="", peer="LightGBM",
                    peer_value=sign * each["lightgbm"]["loss"], command=COMMAND)
            )  # fmt: skip
    publish("neural", "Networks beside LightGBM", rows, NOTE)


NOTE = """
Time-ordered tables of at most 3,000 rows: 60 % train, 20 % tune, 20 % judge. Every family tries its default and random
configs; rounds and config are chosen on the tune rows. A config has a time limit (8 s with QUICK=1), so on a busy
machine a slow family has fewer rounds. scikit-learn's MLP has its defaults. One split a table: single rows say little.
"""

if __name__ == "__main__":
    main()
