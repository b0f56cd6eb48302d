"""RelBench tasks on classes and on sets of labels: their labels as numbers and as a matrix, and who predicts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from headrace.core.errors import DeclarationError
from headrace.problems.catalogue import load_problem
from headrace.problems.relbench.task_problem import class_problem, link_task_folder
from headrace.problems.relbench.task_rows import TaskRows
from tests.relbench.shop_schemas import ARXIV, SALT
from tests.relbench.stand_ins import write_dataset


@pytest.fixture(scope="module")
def salt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("classes") / "rel-salt", SALT, scale=0.05)


@pytest.fixture(scope="module")
def arxiv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("labels") / "rel-arxiv", ARXIV, scale=0.05)


def rows_of(reference: str) -> TaskRows:
    problem = class_problem(reference)
    assert problem is not None
    source = problem.spine_table.source
    assert isinstance(source, TaskRows)
    return source


def labels(folder: Path, task: str, column: str) -> pd.Series:
    splits = ("train", "val", "test")
    return pd.concat([pd.read_parquet(folder / "tasks" / task / f"{split}.parquet")[column] for split in splits])


def test_a_class_is_a_position_a_text_and_a_column_of_the_truth(salt: Path) -> None:
    source = rows_of(f"{salt}#item-plant")
    expected = labels(salt, "item-plant", "PLANT")
    assert list(source.classes) == sorted(set(expected))
    truth, rows = source.truth(), source.read()
    assert truth.shape == (len(expected), len(source.classes))
    assert [source.classes[i] for i in truth.argmax(axis=1)] == expected.tolist()
    assert rows["PLANT"].to_pylist() == truth.argmax(axis=1).tolist()
    assert rows["PLANT_class"].to_pylist() == expected.tolist()


def test_the_class_is_known_as_late_as_the_label(salt: Path) -> None:
    problem = class_problem(f"{salt}#item-plant")
    assert problem is not None
    table = problem.spine_table
    assert table.column_known("PLANT") == table.column_known("PLANT_class") is not None


def test_a_set_of_labels_is_how_many_are_true_and_a_row_of_the_truth(arxiv: Path) -> None:
    source = rows_of(f"{arxiv}#author-topics")
    expected = np.stack(labels(arxiv, "author-topics", "topics").tolist())
    np.testing.assert_array_equal(source.truth(), expected)
    assert source.read()["topics"].to_pylist() == expected.sum(axis=1).tolist()


def test_a_run_refuses_classes_and_names_the_command(salt: Path) -> None:
    with pytest.raises(DeclarationError, match="headrace evaluate"):
        load_problem(f"{salt}#item-plant")


def test_the_type_of_a_task_says_who_evaluates_it(salt: Path, arxiv: Path) -> None:
    assert link_task_folder(f"{arxiv}#paper-paper-cocitation") == arxiv / "tasks" / "paper-paper-cocitation"
    assert link_task_folder(f"{arxiv}#author-topics") is None
    assert class_problem(f"{arxiv}#paper-citation") is None
    assert link_task_folder("flights") is None
