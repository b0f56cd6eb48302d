"""Training of networks: time budget, losses that are not finite, odd tables, TabNet's masks, kinds of targets."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from headrace.automl.families import TABLE_FAMILIES, usable_families
from headrace.automl.families.network import FittedTableNetwork
from headrace.automl.families.protocol import Fit, Rows
from headrace.automl.task.task import Task
from headrace.core.errors import DataError, UnavailableError
from headrace.evaluate.metrics import METRICS
from headrace.models.design import Design
from headrace.models.families import get_family
from headrace.networks.training.loop import MAX_SKIPPED, Options, Trainer, train_early_stopping
from headrace.networks.training.torch_import import choose_device

pytestmark = pytest.mark.neural
RNG = np.random.default_rng(0)
BODIES = ("mlp", "tabm", "tabnet")


def table(n: int = 200, categorical: bool = True) -> Design:
    X = RNG.normal(size=(n, 3)).astype(np.float32)
    if categorical:
        X[:, 2] = RNG.integers(0, 5, n)
    return Design(X=X, names=("a", "b", "c"), categorical=(2,) if categorical else ())


def linear_trainer(**options) -> Trainer:
    import torch

    return Trainer(lambda: torch.nn.Linear(2, 1), 64, Options(batch=8, **options))


def test_the_deadline_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that a step moves by 0.02 s and a validation by 0.03 s."""
    import torch

    now = [0.0]
    monkeypatch.setattr("headrace.networks.training.loop.time.monotonic", lambda: now[0])
    trainer = linear_trainer(deadline=1.0)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        now[0] += 0.02
        return (trainer.network(torch.ones(len(rows), 2)) ** 2).mean()

    def valid_loss() -> float:
        now[0] += 0.03
        return 1.0

    train_early_stopping(trainer, loss, valid_loss, max_rounds=1_000, patience=1_000)
    assert 0.9 < now[0] <= 1.05


def test_a_deadline_in_the_past_gives_an_untrained_network() -> None:
    rows = Rows(design=table(), label=RNG.integers(0, 2, 200).astype(float))
    task = Task(kind="binary", metric="auc", classes=(0, 1))
    fit = Fit(task=task, deadline=time.monotonic() - 1)
    fitted = TABLE_FAMILIES["mlp"].fit(rows, rows, TABLE_FAMILIES["mlp"].default(), fit)
    assert np.isfinite(fitted.predict(rows.design)).all()


def test_a_loss_that_is_not_finite_is_skipped_then_reported() -> None:
    import torch

    trainer, calls = linear_trainer(), []

    def sometimes(rows: torch.Tensor) -> torch.Tensor:
        calls.append(len(rows))
        value = (trainer.network(torch.ones(len(rows), 2)) ** 2).mean()
        return value * float("nan") if len(calls) % 2 else value

    assert trainer.round(sometimes)
    assert trainer.steps == 4
    assert all(bool(torch.isfinite(value).all()) for value in trainer.weights().values())
    assert MAX_SKIPPED <= 2 * 8  # minibatches of two rounds
    trainer.round(lambda rows: trainer.network(torch.ones(1, 2)).sum() * float("inf"))
    with pytest.raises(DataError, match="not a finite number"):
        trainer.round(lambda rows: trainer.network(torch.ones(1, 2)).sum() * float("inf"))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("rows", [1, 2, 33, 65])
def test_tables_whose_last_batch_would_have_one_row(body: str, rows: int) -> None:
    if body == "tabnet" and rows == 1:
        pytest.skip("its normalisation needs two rows; see the next test")
    design, family = table(rows), get_family(body)
    fitted = family.fit(design, RNG.normal(size=rows), family.default(), metric=METRICS["rmse"], rounds=1)
    assert np.isfinite(fitted.predict(design)).all()
    assert fitted.predict(design.rows(np.array([], dtype=np.int64))).shape == (0,)


def test_tabnet_refuses_one_row() -> None:
    family = get_family("tabnet")
    with pytest.raises(DataError, match="two rows"):
        family.fit(table(1), np.ones(1), family.default(), metric=METRICS["rmse"], rounds=1)


@pytest.mark.parametrize("body", BODIES)
def test_a_table_of_constant_and_empty_columns(body: str) -> None:
    X = np.full((50, 3), np.nan, dtype=np.float32)
    X[:, 0] = 7
    design, family = Design(X=X, names=("a", "b", "c"), categorical=(2,)), get_family(body)
    label = RNG.integers(0, 2, 50).astype(float)
    fitted = family.fit(design, label, family.default(), metric=METRICS["auc"], rounds=2)
    assert np.ptp(fitted.predict(design)) == 0
    assert (fitted.contributions(design) == 0).all()


def test_columns_of_two_values_have_one_bin() -> None:
    X = RNG.integers(0, 2, (60, 2)).astype(np.float32)
    family = get_family("mlp")
    design = Design(X=X, names=("a", "b"), categorical=())
    fitted = family.fit(design, X[:, 0].astype(float), family.default(), metric=METRICS["auc"], rounds=2)
    assert len(np.unique(fitted.predict(design))) == 4


def test_a_hundred_thousand_levels_and_unseen_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.networks.training.loop.MAX_STEPS", 8)
    codes = np.repeat(np.arange(100_000), 2).astype(np.float32)
    design = Design(X=codes[:, None], names=("c",), categorical=(0,))
    family = get_family("mlp")
    label = (codes % 2).astype(float)
    fitted = family.fit(design, label, {**family.default(), "width": 64}, metric=METRICS["auc"], rounds=1)
    unseen = Design(X=np.array([[100_001], [np.nan]], dtype=np.float32), names=("c",), categorical=(0,))
    one, two = fitted.predict(unseen)
    assert one == two
    assert fitted.category_vectors()[0].shape == (100_001, 50)


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == "cpu"
    with pytest.raises(UnavailableError, match="no GPU"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == "cuda"


def test_tabnet_is_the_packages_network_with_masks_per_row() -> None:
    """Its outputs and masks are those of pytorch-tabnet's own class with the same weights."""
    import torch
    from pytorch_tabnet.tab_network import TabNetNoEmbeddings

    design, family = table(300, categorical=False), get_family("tabnet")
    label = design.X[:, 0].astype(float) * 3
    fitted = family.fit(design, label, family.default(), metric=METRICS["rmse"], rounds=8)
    config = family.default()
    theirs = TabNetNoEmbeddings(
        3, 1, n_d=config["width"], n_a=config["width"], n_steps=config["blocks"], gamma=config["gamma"]
    ).eval()
    prefix = "body.encoder."
    theirs.load_state_dict(
        {name.removeprefix(prefix): torch.from_numpy(value) for name, value in fitted.weights.items()}
    )
    x = torch.from_numpy(fitted.inputs.transform(design).numbers)
    outputs = theirs(x)[0].detach().numpy()[:, 0]
    expected = fitted.objective.middle + fitted.objective.spread * outputs
    np.testing.assert_allclose(fitted.predict(design), expected, atol=1e-4)
    masks = fitted.masks(design)
    assert masks.shape == (300, config["blocks"], 3)
    np.testing.assert_allclose(masks.sum(axis=2), 1, atol=1e-9)
    their_masks = theirs.forward_masks(x)[1]
    for step in range(config["blocks"]):
        np.testing.assert_allclose(masks[:, step], their_masks[step].detach().numpy(), atol=1e-4)
    assert masks.mean(axis=(0, 1)).argmax() == 0
    with pytest.raises(DataError, match="only TabNet"):
        get_family("mlp").fit(design, label, get_family("mlp").default(), metric=METRICS["rmse"], rounds=1).masks(
            design
        )


KINDS = {
    "binary": (Task(kind="binary", metric="auc", classes=("n", "y")), 1),
    "multiclass": (Task(kind="multiclass", metric="log_loss", classes=("a", "b", "c")), 3),
    "regression": (Task(kind="regression", metric="rmse"), 1),
    "quantile": (Task(kind="quantile", metric="pinball", quantiles=(0.1, 0.5, 0.9)), 3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_kind_of_target(kind: str, weighted: bool, tmp_path: Path) -> None:
    task, columns = KINDS[kind]
    design = table(400)
    signal = design.X[:, 0] + (design.X[:, 2] == 2)
    label = {"binary": (signal > 0).astype(float), "multiclass": np.digitize(signal, (-0.5, 0.7)).astype(float)}.get(
        kind, signal.astype(float)
    )
    rows = Rows(design=design, label=label, weight=np.ones(400) if weighted else None)
    family = TABLE_FAMILIES["tabm"]
    config = {**family.default(), "width": 64, "embedding": "none"}
    fitted = family.fit(rows, None, config, Fit(task=task, rounds=8))
    predicted = fitted.predict(design)
    assert predicted.shape == (400, columns)
    assert abs(np.corrcoef(predicted[:, -1], signal)[0, 1]) > 0.7
    if kind == "multiclass":
        np.testing.assert_allclose(predicted.sum(axis=1), 1)
    if kind == "quantile":
        assert (np.diff(predicted, axis=1) >= 0).all()


def test_an_ensembles_file_holds_a_network_without_code(tmp_path: Path) -> None:
    import skops.io

    from headrace.automl.bundle import TRUSTED

    rows = Rows(design=table(), label=RNG.normal(size=200))
    family = TABLE_FAMILIES["mlp"]
    fitted = family.fit(rows, rows, family.default(), Fit(task=KINDS["regression"][0], deadline=time.monotonic() + 0.3))
    skops.io.dump(fitted, tmp_path / "model.skops")
    types = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert all(name.startswith("headrace.automl.") or name in TRUSTED for name in types)
    again = skops.io.load(tmp_path / "model.skops", trusted=types)
    assert isinstance(again, FittedTableNetwork)
    np.testing.assert_array_equal(again.predict(rows.design), fitted.predict(rows.design))


def test_a_search_uses_networks_only_where_it_names_them() -> None:
    task = KINDS["regression"][0]
    assert "mlp" not in usable_families(None, task, 100, 3)[0]
    assert usable_families(["mlp"], task, 100, 3)[0] == ("mlp",)
