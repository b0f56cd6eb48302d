"""The tabular benchmark of architectures: all genotypes of a small space, trained once on each data set, for study_nas.

The tables are committed in benchmarks/architectures. Where one is missing, its genotypes are trained, each written to
.headrace/bench/nas-NAME.jsonl as it ends, so that a run that is cut off goes on.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from headrace.networks.architectures import ArchitectureSpace, Sizes, image_space, tabular_space
from headrace.networks.architectures.tabular import EDGES, edge_name
from headrace.networks.benchmark import ArchitectureTable, EvaluationJournal

FOLDER = Path(__file__).parent / "architectures"
KEPT = Path(".headrace/bench")
#: Data set -> rounds of a training.
ROUNDS = {"wine": 12, "diabetes": 12, "breast_cancer": 12, "friedman": 12, "circles": 12, "digits": 8}
_TABULAR = ("skip", "linear", "glu", "gated", "residual")
_IMAGE = ("none", "skip", "conv_3x3", "separable_3x3", "max_pool_3x3")


def small_space(name: str) -> ArchitectureSpace:
    """Return the space of a data set's table: five operations on three edges, one width, one depth; 125 genotypes."""
    edges = [edge_name(edge) for edge in EDGES]
    if name == "digits":
        return image_space().restrict({**dict.fromkeys(edges, _IMAGE), "width": (8,), "depth": (1,)})
    fixed = {"width": (32,), "depth": (1,), "resolution": (8,)}
    return tabular_space().restrict({**dict.fromkeys(edges, _TABULAR), **fixed})


@cache
def sizes_of(name: str) -> Sizes:
    """Return inputs, outputs and side of a data set, for the cost of its genotypes."""
    from headrace.networks.cells.data import load_search_data

    data = load_search_data(name)
    side = 8 if data.image else 1
    return Sizes(inputs=data.inputs["train"].shape[1], outputs=data.objective.outputs, side=side)


def table_of(name: str) -> ArchitectureTable:
    """Return the table of a data set; train and store it where it is not there."""
    path = FOLDER / f"{name}.json"
    if path.exists():
        return ArchitectureTable.load(path)
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.cells.training import train_genotype

    space, data = small_space(name), load_search_data(name)
    journal = EvaluationJournal(
        KEPT / f"nas-{name}.jsonl", lambda genotype: train_genotype(space, genotype, data, rounds=ROUNDS[name])
    )
    for genotype in space:
        journal.record(genotype)
    facts = {"rounds": ROUNDS[name], "loss": "log loss" if data.objective.kind == "multiclass" else "squared error"}
    table = ArchitectureTable(data_set=name, space=space, records=journal.records, facts=facts)
    table.save(path)
    return table


if __name__ == "__main__":
    for data_set in ROUNDS:
        print(data_set, f"{table_of(data_set).best_test_loss():.4f}", flush=True)
