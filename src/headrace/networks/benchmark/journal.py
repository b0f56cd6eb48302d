"""Append evaluations of genotypes to a file, one JSON line each, so that a killed search continues where it was.

A search with the same random numbers proposes the same genotypes; those of the journal are answered from it. So a
search after `kill -9` repeats no training, and ends with the result of a search that was never killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from headrace.core.errors import CorruptError
from headrace.networks.architectures.space import Genotype
from headrace.networks.benchmark.table import Record
from headrace.networks.strategies.evaluator import Evaluation


class EvaluationJournal:
    """Evaluates genotypes and remembers the results in a file.

    Args:
        path: The file; it is made where it does not exist.
        train: Trains the network of a genotype.

    Raises:
        CorruptError: A line before the last cannot be read. A torn last line, of a killed write, is cut off.
    """

    def __init__(self, path: Path, train: Callable[[Genotype], Record]) -> None:
        self.path, self._train = path, train
        self.records: dict[Genotype, Record] = {record.genotype: record for record in _read(path)}
        self.trainings = 0

    def record(self, genotype: Genotype) -> Record:
        """Return the record of a genotype; train its network where there is none."""
        if genotype not in self.records:
            record = self._train(genotype)
            self.trainings += 1
            self._append(record)
            self.records[genotype] = record
        return self.records[genotype]

    def __call__(self, genotype: Genotype) -> Evaluation:
        """Return the evaluation of a genotype, as a search strategy asks for it."""
        record = self.record(genotype)
        return Evaluation(loss=record.loss, seconds=record.seconds)

    def _append(self, record: Record) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write((json.dumps(record.to_json()) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> list[Record]:
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    try:
        return [Record.from_json(json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError) as error:
        raise CorruptError(f"a line is no evaluation ({error})", where=str(path)) from None
