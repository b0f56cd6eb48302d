"""Extensions that a problem file hands over, through the main job in worker processes, to the API's predictions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.core import extensions
from headrace.core.files import read_json
from headrace.pipeline.catalogue import STAGES
from headrace.pipeline.operations.monitoring import monitor_window
from headrace.pipeline.stage import stage_key
from tests.pipeline.shop import Shop
from tests.tiny_problem import replayed, write_tiny_problem

OF_ONES_OWN = '''
import json
from dataclasses import dataclass

import numpy as np

from headrace.models.space import Float, Space
from headrace.monitor.drift_tests.protocol import Measure
from headrace.search.searchers.random import RandomSearcher
from headrace.synthesis.primitives import Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregation import NUMBER
from headrace.synthesis.primitives.transform import of_numbers


class Coin(RandomSearcher):
    """Random search under a name of its own."""

    name = "coin"


@dataclass(frozen=True)
class FittedMean:
    value: float
    rounds: None = None

    def predict(self, design, *, threads=1):
        first = np.nan_to_num(design.X[:, 0])
        return 1 / (1 + np.exp(-self.value - 0.1 * np.tanh(first)))

    def contributions(self, design):
        shares = np.zeros(design.X.shape)
        shares[:, 0] = 0.1 * np.tanh(np.nan_to_num(design.X[:, 0]))
        return shares

    def save(self, folder):
        (folder / "model.json").write_text(json.dumps({"value": self.value}))


class Learner:
    def __init__(self, fit, valid, metric):
        self.fit, self.valid, self.metric, self.done = fit, valid, metric, None

    def step(self):
        if self.done is not None:
            return None
        self.done = self.fit()
        return self.metric.loss(self.valid[1], self.done.predict(self.valid[0]))

    def fitted(self, rounds):
        return self.done


@dataclass(frozen=True)
class Mean:
    """The share of true labels, moved a little by the first feature."""

    shift: float = 0.5
    name: str = "mean"

    def space(self):
        return Space({"shift": Float(0.0, 1.0)})

    def default(self):
        return {"shift": self.shift}

    def extra_configs(self):
        return ()

    def fit(self, design, label, config, *, metric, rounds=None, seed=0, threads=1):
        share = (label.sum() + config["shift"]) / (len(label) + 1)
        return FittedMean(float(np.log(share / (1 - share))))

    def learner(self, design, label, valid, config, *, metric, seed=0, threads=1, rows=None, cache=None):
        if rows is not None:
            design, label = design.rows(rows), label[rows]
        return Learner(lambda: self.fit(design, label, config, metric=metric), valid, metric)

    def rounds_at(self, config, progress):
        return None

    def with_coarse_steps(self, config):
        return dict(config)

    def with_smaller_steps(self, config, factor):
        return dict(config)

    def load(self, folder):
        return FittedMean(json.loads((folder / "model.json").read_text())["value"])


@dataclass(frozen=True)
class MeanShift:
    name: str = "mean_shift"
    kinds: frozenset = frozenset({"numeric"})
    floor: float = 0.25

    def score(self, pair):
        spread = np.concatenate([pair.reference, pair.current]).std() or 1.0
        return float(abs(pair.reference.mean() - pair.current.mean()) / spread)

    def measure(self, pair, *, seed):
        from scipy import stats

        score = self.score(pair)
        return Measure(score=score, p_value=float(2 * stats.norm.sf(score * pair.effective**0.5)), effect=score)


def _spread(ranges, names):
    x, lo, hi = ranges.valid.x, ranges.lo, ranges.hi
    found = [np.ptp(x[a:b]) if b > a else np.nan for a, b in zip(lo, hi)]
    return {"spread": np.array(found, dtype=np.float64)}


def _spread_twin(observations):
    values = [value for _, value in observations if value is not None]
    return max(values) - min(values) if values else None


SPREAD = AggregationFamily(
    name="spread",
    aggregations=(Aggregation(name="spread", description="largest - smallest", inputs=NUMBER, twin=_spread_twin),),
    kernel=_spread,
)
HALF = of_numbers("half", "a / 2", lambda a: a / 2)
'''
FIELDS = '''
    searcher=Coin,
    families=(Mean(), "linear"),
    primitives=(SPREAD, HALF),
    include=["*SPREAD*", "HALF*"],
    monitoring=Monitoring(drift_tests=(MeanShift(), "js")),
'''


def _write(folder: Path) -> Path:
    path = write_tiny_problem(folder, replayed_days=14)
    text = replayed(14).replace("import EntitySet", "import EntitySet, Monitoring")
    text = text.replace("\ncustomers = Table(", f"{OF_ONES_OWN}\n\ncustomers = Table(", 1)
    path.write_text(text.replace('    tick="15min",', f'    tick="15min",{FIELDS}'))
    return path


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_HANDED", {})


def test_a_problem_file_with_extensions_of_its_own_runs_and_is_served(tmp_path: Path) -> None:
    shop = Shop(path=_write(tmp_path / "problem"), home=tmp_path / "home")
    pipeline = shop.run(trials=3)
    names = {name: pipeline.run_stage(name) for name in pipeline.stage_names}
    assert names["search"].outputs["failed"] == 0
    families = {config["family"] for config in _configs(shop)}
    assert families == {"mean", "linear"}
    report = monitor_window(pipeline.context, now_us=0)
    assert report.evidence is not None
    assert {column.test for column in report.evidence.columns} >= {"mean_shift"}


def _configs(shop: Shop) -> list[dict[str, object]]:
    (path,) = (shop.home / "stages" / "shop" / "search").glob("[!.]*/trials.json")
    return [trial["config"] for trial in read_json(path)]
