"""Prepared folds: a worker that maps a file sees what it would compute; and each is computed once."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest

from headrace.automl.prepare.block import Target
from headrace.automl.prepare.preparation import Preparation, PreparationSpec
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Task
from headrace.automl.trials import prepared
from headrace.automl.trials.data import SearchData, write_data
from headrace.automl.validation.folds import make_folds

TASK = Task(kind="regression", metric="rmse")
SPECS = [
    PreparationSpec(),
    PreparationSpec(categories="both", constructions=True),
    PreparationSpec(categories="both", scale="power"),
]


def written(folder: Path, seed: int = 0) -> tuple[SearchData, str]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(size=90), "b": rng.choice(list("xyz"), 90), "c": rng.exponential(size=90)})
    y, cleaner = X.a.to_numpy() + X.c.to_numpy(), Cleaner.fit(X)
    folds = make_folds("random", y, TASK, count=2, seed=0)
    data = SearchData(frame=cleaner.transform(X), label=y, weight=None, folds=folds, cleaner=cleaner, task=TASK)
    return data, write_data(folder, data)


def again(folder: Path, digest: str, spec: PreparationSpec, number: int = 1) -> prepared.PreparedFold:
    """What another worker sees, which has nothing mapped."""
    prepared._mapped.cache_clear()
    return prepared.prepared_fold(folder, digest, number, spec, 0)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Arguments of every computation."""
    calls: list[Any] = []
    compute = prepared._computed

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return compute(*arguments)

    monkeypatch.setattr(prepared, "_computed", counted)
    return calls


@pytest.mark.parametrize("spec", SPECS)
def test_a_mapped_fold_is_the_computed_one(tmp_path: Path, spec: PreparationSpec) -> None:
    data, digest = written(tmp_path)
    fold = data.folds[1]
    expected = Preparation(spec, data.cleaner)
    train = expected.fit_transform(
        data.frame.iloc[fold.train].reset_index(drop=True), Target(label=data.label[fold.train], task=TASK, seed=0)
    )
    for found in (again(tmp_path, digest, spec), again(tmp_path, digest, spec)):
        np.testing.assert_array_equal(found.train.X, train.X)
        np.testing.assert_array_equal(found.valid.X, expected.transform(data.frame.iloc[fold.valid]).X)
        assert (found.train.names, found.train.categorical) == (train.names, train.categorical)
        assert type(found.train.X) is np.ndarray
        assert found.train.X.flags.writeable
    kept: Preparation = joblib.load(prepared.preparation_file(tmp_path, prepared.preparation_key(1, spec)))
    np.testing.assert_array_equal(kept.transform(data.frame.iloc[fold.valid]).X, found.valid.X)


def test_a_fold_is_computed_once_for_all_workers(tmp_path: Path, computed: list[Any]) -> None:
    _, digest = written(tmp_path)
    for _ in range(2):
        again(tmp_path, digest, SPECS[0])
        again(tmp_path, digest, SPECS[1])
        again(tmp_path, digest, SPECS[0], number=0)
    assert len(computed) == 3


def test_other_data_in_the_same_folder_are_computed_anew(tmp_path: Path) -> None:
    _, digest = written(tmp_path)
    first = again(tmp_path, digest, SPECS[0])
    _, other = written(tmp_path, seed=1)
    assert not np.array_equal(again(tmp_path, other, SPECS[0]).train.X, first.train.X)


def test_what_one_worker_writes_into_its_rows_no_other_sees(tmp_path: Path) -> None:
    _, digest = written(tmp_path)
    before = again(tmp_path, digest, SPECS[0]).train.X.copy()
    again(tmp_path, digest, SPECS[0]).train.X[:] = 0
    np.testing.assert_array_equal(again(tmp_path, digest, SPECS[0]).train.X, before)


def test_folds_that_would_take_too_much_of_the_disk_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, computed: list[Any]
) -> None:
    """With twenty times a fold's size free at first, a tenth is two folds; the third is computed each time."""
    _, digest = written(tmp_path)
    size = prepared._bytes(again(tmp_path, digest, SPECS[0]))
    files = tmp_path.glob("designs-*")
    on_disk = next(files).stat().st_size
    folder = tmp_path / "full"
    _, digest = written(folder)

    def usage(path: Path) -> SimpleNamespace:
        used = sum(file.stat().st_size for file in folder.glob("designs-*"))
        return SimpleNamespace(free=20 * on_disk - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert size < on_disk < 2 * size
    computed.clear()
    for _ in range(3):
        for spec, number in ((SPECS[0], 0), (SPECS[0], 1), (PreparationSpec(categories="target"), 0)):
            found = again(folder, digest, spec, number)
            assert len(found.train.X) == 45
    assert len(computed) == 2 + 3
    assert len(list(folder.glob("designs-*"))) == 2


def test_a_worker_that_is_killed_while_it_writes_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, digest = written(tmp_path)
    dump = joblib.dump

    def killed(value: Any, file: Path) -> None:
        dump(value, file)
        Path(file).write_bytes(Path(file).read_bytes()[:10])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(joblib, "dump", killed)
        with pytest.raises(KeyboardInterrupt):
            again(tmp_path, digest, SPECS[0])
    found = again(tmp_path, digest, SPECS[0])
    assert len(found.train.X) == 45
    assert joblib.load(prepared.preparation_file(tmp_path, prepared.preparation_key(1, SPECS[0])))
