"""Extensions that a problem file hands over, through the main job in worker processes, to the API's predictions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core import extensions
from headrace.pipeline.production.definitions import read_definitions
from headrace.pipeline.stages.promote import PROMOTE
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.stages.select import SELECT
from headrace.registry.client import connect
from headrace.synthesis.primitives.catalogue import CATALOGUE
from tests.pipeline.shop import Shop
from tests.tiny_problem import DECLARATION, write_tiny_problem

OF_ONES_OWN = '''
import json
from dataclasses import dataclass

import numpy as np

from headrace.models.space import Float, Space
from headrace.monitor.drift_tests.protocol import Measure
from headrace.search.searchers.random import RandomSearcher
from headrace.synthesis.primitives import Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregation import NUMBER
from headrace.synthesis.transforms.transform import of_numbers


class Coin(RandomSearcher):
    """Random search under a name of its own."""

    name = "coin"


@dataclass(frozen=True)
class FittedLeastSquares:
    """Probability = clip(1 + X w); a missing value counts as its column's mean."""

    means: tuple
    weights: tuple
    rounds: None = None

    def _terms(self, design):
        centred = np.where(np.isnan(design.X), 0.0, design.X - np.array(self.means))
        return np.tanh(centred / 20) * np.array(self.weights[1:])

    def predict(self, design, *, threads=1):
        raw = self.weights[0] + self._terms(design).sum(axis=1)
        return np.clip(raw, 0.001, 0.999)

    def contributions(self, design):
        return self._terms(design)

    def save(self, folder):
        (folder / "model.json").write_text(json.dumps([self.means, self.weights]))


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
class LeastSquares:
    shrink: float = 1.0
    name: str = "least_squares"

    def space(self):
        return Space({"shrink": Float(0.1, 10.0, log=True)})

    def default(self):
        return {"shrink": self.shrink}

    def extra_configs(self):
        return ()

    def fit(self, design, label, config, *, metric, rounds=None, seed=0, threads=1):
        means = np.nan_to_num(np.nanmean(design.X, axis=0))
        X = np.tanh(np.where(np.isnan(design.X), 0.0, design.X - means) / 20)
        X = np.column_stack([np.ones(len(X)), X])
        weights = np.linalg.solve(X.T @ X + config["shrink"] * np.eye(X.shape[1]), X.T @ label)
        return FittedLeastSquares(tuple(means.tolist()), tuple(weights.tolist()))

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
        means, weights = json.loads((folder / "model.json").read_text())
        return FittedLeastSquares(tuple(means), tuple(weights))


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
#: Another process: loads the champion and asks it for one prediction.
SERVE = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from headrace.api.server import production_clock
from headrace.api.app import create_app
from headrace.problems.catalogue import load_problem

root, problem = Path(sys.argv[2]), load_problem(sys.argv[1])
app = create_app(root, problem, f"sqlite:///{root / 'mlflow' / 'mlflow.db'}", production_clock(root, problem))
with TestClient(app, base_url="http://localhost") as client:
    while client.get("/readyz").status_code != 200:
        pass
    row = {"customer_id": "c00", "placed": "2024-03-01T12:00:00Z", "amount": 30.0, "channel": "web"}
    answer = client.post("/predict", json=row)
    assert answer.status_code == 200, answer.text
    print(answer.json()["probability"])
"""
#: Another process that has never seen the problem file: MLflow's own way to load the model.
LOAD = """
import sys, mlflow.pyfunc

model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(model.input_example)[0], "headrace.models" in sys.modules)
"""
FIELDS = """
    searcher=Coin,
    families=(LeastSquares(),),
    primitives=(SPREAD, HALF),
    include=["*SPREAD*", "HALF*"],
    monitoring=Monitoring(drift_tests=(MeanShift(), "js")),
"""


def _write(folder: Path) -> Path:
    path = write_tiny_problem(folder)
    text = DECLARATION.replace("import EntitySet", "import EntitySet, Monitoring")
    text = text.replace("\ncustomers = Table(", f"{OF_ONES_OWN}\n\ncustomers = Table(", 1)
    path.write_text(text.replace('    tick="15min",', f'    tick="15min",{FIELDS}'))
    return path


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(extensions, "_HANDED", {})
    yield
    for handed in [one for one in extensions._HANDED.values() if one.kind == "primitive"]:
        CATALOGUE.remove(handed.value)


@pytest.mark.chaos
def test_a_problem_file_with_extensions_of_its_own_runs_and_is_served(tmp_path: Path) -> None:
    shop = Shop(path=_write(tmp_path / "problem"), home=tmp_path / "home")
    pipeline = shop.run(trials=3)
    for name in pipeline.stage_names:
        pipeline.run_stage(name)
    search = pipeline.output(SEARCH)
    assert (search.failed, search.config["family"]) == (0, "least_squares")
    assert pipeline.output(PROMOTE).promoted
    names = {item.name for item in read_definitions(pipeline.folder(SELECT) / "definitions.json")}
    assert any("SPREAD" in name for name in names), names
    assert 0 < float(_python(SERVE, shop.path, shop.home)) < 1
    client = connect(shop.tracking_uri)
    saved = client.get_model_version_download_uri("shop", "1").removeprefix("file://")
    probability, loaded = _python(LOAD, saved).split()
    assert 0 < float(probability) < 1
    assert loaded == "False"  # the code that the model carries, not the Headrace that is installed


def _python(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]
