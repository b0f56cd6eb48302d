"""Stored evaluations: the journal of a killed search, and tables that are written and read back."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from headrace.core.errors import CorruptError, NotFoundError
from headrace.networks.architectures import Genotype, image_space
from headrace.networks.benchmark import ArchitectureTable, EvaluationJournal, Record
from headrace.networks.strategies import STRATEGIES, Budget, search_architecture

SPACE = image_space().restrict({"width": (8,), "depth": (1,)})


def train(genotype: Genotype) -> Record:
    loss = math.inf if genotype[0] == 0 else sum(genotype) / 7
    return Record(genotype=genotype, loss=loss, test_loss=loss + 0.1, seconds=0.25)


class Killed(BaseException):
    """Stands for a kill: nothing after it runs."""


def test_a_search_continues_after_a_kill(tmp_path: Path) -> None:
    def killed_after(count: int):
        def training(genotype: Genotype) -> Record:
            if journal.trainings == count:
                raise Killed
            return train(genotype)

        return training

    def search(evaluate: EvaluationJournal):
        budget = Budget(evaluations=40)
        return search_architecture(STRATEGIES["evolution"](), SPACE, evaluate, budget, np.random.default_rng(0))

    whole = search(EvaluationJournal(tmp_path / "whole.jsonl", train))
    path = tmp_path / "killed.jsonl"
    journal = EvaluationJournal(path, killed_after(15))
    with pytest.raises(Killed):
        search(journal)
    with path.open("ab") as file:
        file.write(b"[[1, 2, 3, 0")  # the line that was being written
    journal = EvaluationJournal(path, train)
    assert search(journal).best == whole.best
    assert journal.trainings == 25
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_damaged_journal_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("nonsense\n" + json.dumps(train((1, 1, 1, 0, 0)).to_json()) + "\n")
    with pytest.raises(CorruptError):
        EvaluationJournal(path, train)


def test_a_table_is_read_back(tmp_path: Path) -> None:
    records = {genotype: train(genotype) for genotype in SPACE}
    table = ArchitectureTable(data_set="digits", space=SPACE, records=records, facts={"epochs": 3})
    table.save(tmp_path / "table.json")
    again = ArchitectureTable.load(tmp_path / "table.json")
    assert again.space == SPACE
    assert again.facts == {"epochs": 3}
    for genotype, record in records.items():
        assert again.record(genotype).loss == pytest.approx(record.loss, rel=1e-5)
        assert again(genotype).seconds == 0.25
    assert again.best_test_loss() == pytest.approx(1 / 7 + 0.1, rel=1e-5)
    with pytest.raises(NotFoundError, match="not trained"):
        again((9, 9, 9, 9, 9))


def test_a_file_that_is_no_table_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"slots": 3}')
    with pytest.raises(CorruptError, match="not a table"):
        ArchitectureTable.load(tmp_path / "table.json")
    with pytest.raises(NotFoundError):
        ArchitectureTable.load(tmp_path / "none.json")
