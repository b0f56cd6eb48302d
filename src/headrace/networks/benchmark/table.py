"""A tabular benchmark: every genotype of a small space, trained once on a data set, stored and replayed.

A replayed search costs no training, which makes dozens of paired repetitions affordable (Ying et al., 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import read_json, write_bytes
from headrace.networks.architectures.space import ArchitectureSpace, Genotype, Slot
from headrace.networks.strategies.evaluator import Evaluation


@dataclass(frozen=True, kw_only=True)
class Record:
    """One trained network.

    Attributes:
        genotype: Its genotype.
        loss: On the validation rows, lower is better; what a search sees. Infinite where training failed.
        test_loss: On the test rows; what a search is judged by.
        seconds: Time of the training.
    """

    genotype: Genotype
    loss: float
    test_loss: float
    seconds: float

    def to_json(self) -> list[Any]:
        """Return [genotype, loss, test loss, seconds]."""
        return [list(self.genotype), self.loss, self.test_loss, self.seconds]

    @classmethod
    def from_json(cls, data: Any) -> Record:
        genotype, loss, test_loss, seconds = data
        return cls(
            genotype=tuple(int(i) for i in genotype),
            loss=float(loss),
            test_loss=float(test_loss),
            seconds=float(seconds),
        )


@dataclass(frozen=True, kw_only=True)
class ArchitectureTable:
    """The records of all genotypes of a space on one data set.

    Attributes:
        data_set: Name of the data set.
        space: The space.
        records: Genotype -> record.
        facts: How the networks were trained.
    """

    data_set: str
    space: ArchitectureSpace
    records: Mapping[Genotype, Record]
    facts: Mapping[str, Any]

    def __call__(self, genotype: Genotype) -> Evaluation:
        """Return the stored evaluation of a genotype.

        Raises:
            NotFoundError: The genotype was not trained.
        """
        record = self.record(genotype)
        return Evaluation(loss=record.loss, seconds=record.seconds)

    def record(self, genotype: Genotype) -> Record:
        """Return the record of a genotype."""
        if genotype not in self.records:
            raise NotFoundError("this genotype was not trained", where=f"table {self.data_set!r}", found=genotype)
        return self.records[genotype]

    def best_test_loss(self) -> float:
        """Return the least test loss of all genotypes: what no search can do better than."""
        return min(record.test_loss for record in self.records.values())

    def save(self, path: Path) -> None:
        """Write the table as JSON, one record a line, numbers with six digits."""
        import json

        slots = [[slot.name, list(slot.options), slot.ordered] for slot in self.space.slots]
        head = {"data_set": self.data_set, "space": self.space.name, "slots": slots, "facts": dict(self.facts)}
        rows = [record.to_json() for _, record in sorted(self.records.items())]
        lines = [json.dumps([row[0], *(float(f"{value:.6g}") for value in row[1:])]) for row in rows]
        text = json.dumps(head)[:-1] + ', "records": [\n' + ",\n".join(lines) + "\n]}\n"
        write_bytes(path, text.encode())

    @classmethod
    def load(cls, path: Path) -> ArchitectureTable:
        """Read a table.

        Raises:
            NotFoundError: There is no such file.
            CorruptError: The file is no table.
        """
        data = read_json(path)
        try:
            slots = tuple(
                Slot(name=name, options=tuple(options), ordered=ordered) for name, options, ordered in data["slots"]
            )
            return cls(
                data_set=data["data_set"],
                space=ArchitectureSpace(name=data["space"], slots=slots),
                records=_by_genotype(Record.from_json(item) for item in data["records"]),
                facts=data["facts"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"not a table of architectures ({error})", where=str(path)) from None


def _by_genotype(records: Iterable[Record]) -> dict[Genotype, Record]:
    return {record.genotype: record for record in records}
