"""Estimates of performance before labels against the metrics that the labels show, beside NannyML (QUICK=1: fewer).

Worlds: 14 days of 60 held-out rows and a window of seven days, with predictions that are too extreme (a slope of 1.5 in
log-odds). Days are independent or have shocks of their own; the window has the features of the held-out rows, or
others. The relation between features and label is the same throughout: a change of it is invisible to any estimate.

An estimate's error is its distance to the metric of the window's labels. Its interval should hold that metric in 90 %
of the worlds. NannyML's bounds are three of its sampling errors wide on each side.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.results import Goal, Row, publish
from headrace.core import parquet
from headrace.core.clock import DAY
from headrace.models.design import Design
from headrace.monitor.estimates.direct_loss import estimate_regression
from headrace.monitor.estimates.performance import HeldOut, PerformanceEstimate, estimate_binary

Floats = NDArray[np.float64]
ROOT = Path(__file__).parent.parent
PEER = ROOT / ".venv-nannyml" / "bin" / "python"
COMMAND = "QUICK=1 make bench-estimates" if os.environ.get("QUICK") else "make bench-estimates"
_DAYS, _WINDOW, _ROWS = 14, 7, 60
WORLDS = {
    "independent days": {"shock": 0.0, "shift": 0.0},
    "independent days, other features": {"shock": 0.0, "shift": 0.7},
    "days with shocks": {"shock": 0.4, "shift": 0.0},
    "days with shocks, other features": {"shock": 0.4, "shift": 0.7},
    "a number": {"noisy": 0.0},
    "a number, other features": {"noisy": 0.5},
}


@dataclass(frozen=True)
class Side:
    """Rows of one side of a world: features [n, d], predictions [n], labels [n], cutoffs [n] (us)."""

    x: NDArray[np.float32]
    prediction: Floats
    label: Floats
    cutoffs_us: NDArray[np.int64]

    def table(self, world: str) -> pa.Table:
        columns = {f"x{i}": pa.array(self.x[:, i]) for i in range(self.x.shape[1])}
        facts = {"world": [world] * len(self.label), "label": self.label, "prediction": self.prediction}
        return pa.table({**facts, **columns})

    @property
    def design(self) -> Design:
        return Design(X=self.x, names=tuple(f"x{i}" for i in range(self.x.shape[1])), categorical=())


def binary(rng: np.random.Generator, days: int, start: int, shock: float, shift: float) -> Side:
    """Rows whose log-odds are z - 1 and a shock of the day; predictions have 1.5 times these log-odds."""
    day = np.repeat(np.arange(days), _ROWS)
    z = rng.normal(shift, 1, len(day))
    y = rng.random(len(z)) < 1 / (1 + np.exp(-(z - 1 + rng.normal(0, shock, days)[day])))
    return Side(
        z[:, None].astype(np.float32), 1 / (1 + np.exp(-1.5 * (z - 1))), y.astype(np.float64), (start + day) * DAY
    )


def number(rng: np.random.Generator, days: int, start: int, noisy: float) -> Side:
    """Rows of two kinds, one with six times the noise of the other."""
    day = np.repeat(np.arange(days), _ROWS)
    x = np.stack([rng.random(len(day)) < 0.2 + noisy, rng.normal(0, 1, len(day))], axis=1)
    label = x[:, 1] + rng.normal(0, 1, len(day)) * np.where(x[:, 0] == 1, 3.0, 0.5)
    return Side(x.astype(np.float32), x[:, 1], label, (start + day) * DAY)


def worlds(count: int) -> Iterator[tuple[str, int, Side, Side]]:
    """Yield name, seed, held-out rows and window of each world."""
    for place, (name, facts) in enumerate(WORLDS.items()):
        for seed in range(count):
            rng = np.random.default_rng([place, seed])
            if "noisy" in facts:
                yield name, seed, number(rng, _DAYS, 0, 0.0), number(rng, _WINDOW, _DAYS, facts["noisy"])
            else:
                reference = binary(rng, _DAYS, 0, facts["shock"], 0.0)
                yield name, seed, reference, binary(rng, _WINDOW, _DAYS, facts["shock"], facts["shift"])


def ours(reference: Side, window: Side, seed: int) -> tuple[PerformanceEstimate, ...]:
    held_out = HeldOut(prediction=reference.prediction, label=reference.label, cutoffs_us=reference.cutoffs_us)
    if set(np.unique(reference.label)) <= {0.0, 1.0}:
        return estimate_binary(
            held_out, window.prediction, window.cutoffs_us, metrics=("auc", "f1", "accuracy"), label=window.label,
            seed=seed,
        )[0]  # fmt: skip
    return estimate_regression(
        held_out, reference.design, window.design, window.prediction, window.cutoffs_us, label=window.label, seed=seed
    )


def theirs(folder: Path, cases: list[tuple[str, int, Side, Side]]) -> dict[str, dict[str, list[float]]]:
    """NannyML's estimates: world -> metric -> value and bounds; none where it is not installed."""
    if not PEER.exists():
        print(f"no {PEER}: NannyML is left out")
        return {}
    for file, position in (("reference", 2), ("analysis", 3)):
        tables = [case[position].table(f"{case[0]}/{case[1]}") for case in cases]  # type: ignore[union-attr]
        parquet.write(pa.concat_tables(tables, promote_options="default"), folder / f"{file}.parquet")
    subprocess.run([PEER, ROOT / "benchmarks" / "peers" / "nannyml_peer.py", folder], check=True, cwd=folder)
    found: dict[str, dict[str, list[float]]] = json.loads((folder / "estimates.json").read_text())
    return found


def main() -> None:
    """Run all worlds and publish the table."""
    cases = list(worlds(10 if os.environ.get("QUICK") else 60))
    start = time.perf_counter()
    own = {f"{name}/{seed}": ours(reference, window, seed) for name, seed, reference, window in cases}
    per_window_s = (time.perf_counter() - start) / len(cases)
    with tempfile.TemporaryDirectory() as folder:
        peer = theirs(Path(folder), cases)
    rows = [Row(metric="estimating one window", value=per_window_s, unit="s", command=COMMAND)]
    for name in WORLDS:
        keys = [key for key in own if key.rpartition("/")[0] == name]
        for metric in ("auc", "f1") if "number" not in name else ("rmse", "mae"):
            rows += list(_rows(name, metric, keys, own, peer))
    publish("estimates", "Performance before labels", rows, NOTE)


def _rows(
    world: str,
    metric: str,
    keys: list[str],
    own: dict[str, tuple[PerformanceEstimate, ...]],
    peer: dict[str, dict[str, list[float]]],
) -> Iterator[Row]:
    found = [next(one for one in own[key] if one.metric == metric) for key in keys]
    truth = [one.realised for one in found if one.realised is not None]
    pairs = list(zip(found, truth, strict=True))
    error = float(np.mean([abs(one.value - true) for one, true in pairs]))
    hits = float(np.mean([one.low <= true <= one.high for one, true in pairs]))
    their_error = their_hits = None
    if peer:
        bounds = [(peer[key][metric], true) for key, true in zip(keys, truth, strict=True)]
        their_error = float(np.mean([abs(value - true) for (value, *_), true in bounds]))
        their_hits = float(np.mean([low <= true <= high for (_, low, high), true in bounds]))
    named = "NannyML" if peer else None
    width = float(np.mean([one.high - one.low for one in found]))
    their_width = float(np.mean([peer[key][metric][2] - peer[key][metric][1] for key in keys])) if peer else None
    yield Row(
        metric=f"{world}: mean error of {metric}", value=error, unit="", peer=named, peer_value=their_error,
        command=COMMAND,
    )  # fmt: skip
    yield Row(
        metric=f"{world}: intervals that hold {metric}", value=100 * hits, unit="%", goal=Goal(op=">=", value=80),
        peer=named, peer_value=None if their_hits is None else 100 * their_hits, command=COMMAND,
    )  # fmt: skip
    yield Row(
        metric=f"{world}: mean width of the interval of {metric}", value=width, unit="", peer=named,
        peer_value=their_width, command=COMMAND,
    )  # fmt: skip


NOTE = __doc__.split("\n\n", 1)[1] if __doc__ else ""

if __name__ == "__main__":
    main()
