"""What a trial tells on its way, data that is binned once, and folds."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pytest

from headrace.core.errors import DataError, DeclarationError
from headrace.evaluate.metrics import METRICS
from headrace.models import objective as module
from headrace.models.cache import FoldCache
from headrace.models.callback import NoCallback
from headrace.models.families import FAMILIES, warm_start
from headrace.models.folds import folds
from headrace.models.objective import TrialObjective, prepare
from headrace.testing import model_data as examples

TABLE = examples.matrix(3000)
DESIGN = examples.design(TABLE)
LABEL = examples.binary(TABLE)


class _Listener(NoCallback):
    def __init__(self) -> None:
        self.rungs: dict[str, float] = {}

    def on_rung(self, name: str, loss: float) -> None:
        assert name not in self.rungs, "a rung is passed once"
        self.rungs[name] = loss


def _objective(folder: Path, **more: object) -> TrialObjective:
    windows = examples.windows(3000)
    splits = more.pop("splits", None) or [(windows.train, windows.tune)]
    digest = prepare(folder, DESIGN, LABEL, splits)  # type: ignore[arg-type]
    return TrialObjective(folder=folder, digest=digest, metric="auc", seed=0, **more)  # type: ignore[arg-type]


def test_rungs_of_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MIN_ROWS", 400)
    heard = _Listener()
    told = _objective(tmp_path, shares=(0.5,)).evaluate_rungs(warm_start()[0], heard)
    assert list(heard.rungs)[:2] == ["lightgbm, 50% of the rows", "lightgbm, progress 1.6"]
    assert heard.rungs["lightgbm, progress 1.6"] >= told["loss"]
    heard = _Listener()
    _objective(tmp_path / "b", shares=(0.5,)).evaluate_rungs(warm_start()[1], heard)
    assert list(heard.rungs) == ["linear, 25% of the rows"]
    heard = _Listener()
    _objective(tmp_path / "c", shares=(0.1,)).evaluate_rungs(warm_start()[1], heard)
    assert not heard.rungs, "too few rows tell nothing"


@pytest.mark.parametrize("rate", [0.04, 0.12, 0.3, 0.7])
def test_coarse_steps_are_fewer_and_the_config_else_the_same(rate: float) -> None:
    family = FAMILIES["lightgbm"]
    config = {**family.default(), "learning_rate": rate}
    coarse = family.with_coarse_steps(config)
    assert coarse["learning_rate"] == pytest.approx({0.04: 0.12, 0.12: 0.36, 0.3: 0.5, 0.7: 0.7}[rate])
    assert {**coarse, "learning_rate": rate} == config
    assert FAMILIES["linear"].with_coarse_steps(FAMILIES["linear"].default()) == FAMILIES["linear"].default()


def test_rungs_do_not_change_the_loss(tmp_path: Path) -> None:
    config = warm_start()[0]
    assert _objective(tmp_path / "a", shares=(0.5,))(config) == _objective(tmp_path / "b")(config)


def test_data_is_binned_once_for_all_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binned: list[int] = []
    real = lightgbm.Dataset._lazy_init

    def counted(self: object, *args: object, **more: object) -> object:
        data = more.get("data", args[0] if args else None)
        binned.append(len(data) if isinstance(data, np.ndarray) else 0)
        return real(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(lightgbm.Dataset, "_lazy_init", counted)
    objective = _objective(tmp_path, shares=(0.5,))
    default = warm_start()[0]
    for leaves in (7, 15, 31):
        objective({**default, "lightgbm.num_leaves": leaves, "lightgbm.min_data_in_leaf": leaves})
    rows = len(examples.windows(3000).train)
    assert binned.count(rows) == 1
    module._load_folds.cache_clear()  # as another process would begin
    objective(default)
    assert binned.count(rows) == 1, "it reads the file of the first"


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("metric", ["auc", "average_precision", "brier"])
def test_kept_data_gives_the_same_bits(name: str, metric: str, tmp_path: Path) -> None:
    pytest.importorskip(getattr(FAMILIES[name], "module", "numpy"))
    family, rows = FAMILIES[name], np.arange(0, 2000, 2)
    valid = (DESIGN.rows(np.arange(2000, 3000)), LABEL[2000:])
    train = DESIGN.rows(np.arange(2000)), LABEL[:2000]
    cache = FoldCache(tmp_path)

    def learnt(part: np.ndarray | None, of: FoldCache | None) -> np.ndarray:
        learner = family.learner(*train, valid, family.default(), metric=METRICS[metric], seed=1, rows=part, cache=of)
        losses = [learner.step() for _ in range(8)]
        return np.append(learner.fitted(8).predict(DESIGN), [loss or 0.0 for loss in losses])

    for part in (None, rows):
        fresh = learnt(part, None)
        for again in (learnt(part, cache), learnt(part, cache)):
            np.testing.assert_array_equal(again, fresh)


def test_folds_partition_the_rows_and_deal_the_classes_out() -> None:
    splits = folds(LABEL, 5, seed=3)
    measured = np.sort(np.concatenate([tune for _, tune in splits]))
    np.testing.assert_array_equal(measured, np.arange(3000))
    for train, tune in splits:
        assert not set(train) & set(tune)
        assert LABEL[tune].mean() == pytest.approx(LABEL.mean(), abs=0.002)
    assert all((a[1] == b[1]).all() for a, b in zip(splits, folds(LABEL, 5, seed=3), strict=True))


def test_a_trial_over_folds_is_their_mean_and_tells_each_but_the_last(tmp_path: Path) -> None:
    splits = folds(LABEL, 3)
    heard = _Listener()
    told = _objective(tmp_path / "all", splits=splits).evaluate_rungs(warm_start()[1], heard)
    alone = [_objective(tmp_path / str(k), splits=[split])(warm_start()[1])["loss"] for k, split in enumerate(splits)]
    assert told["loss"] == pytest.approx(np.mean(alone))
    assert heard.rungs["linear, 2 of 3 folds"] == pytest.approx(np.mean(alone[:2]))
    assert "linear, 3 of 3 folds" not in heard.rungs


def test_too_few_rows_for_the_folds_and_metrics_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 rows cannot make 5 folds"):
        folds(np.array([1.0, 2.0, 3.0]), 5)
    with pytest.raises(DataError, match="a class has 2 rows, too few for 3 folds"):
        folds(np.array([0.0] * 9 + [1.0] * 2), 3)
    with pytest.raises(DeclarationError, match="at least 2 folds, not 1"):
        folds(LABEL, 1)
    with pytest.raises(DeclarationError, match=r"no metric 'auk'.*found: auc"):
        TrialObjective(folder=tmp_path, digest="", metric="auk", seed=0)
    with pytest.raises(DeclarationError, match="share"):
        TrialObjective(folder=tmp_path, digest="", metric="auc", seed=0, shares=(1.5,))
