"""Evaluate the configurations of the pool on all data sets; every cell is a file, so a killed build goes on.

    make portfolio [QUICK=1] [ONLY=HMDA,OJ] [RANDOM_EACH=13] [COLLECT=1]

Cells lie in .headrace/bench/portfolio/<data set>-<digest of its rows>/. Configurations are evaluated in blocks on all
data sets, so that a matrix that was cut off has complete columns. QUICK=1 evaluates eight configurations on three data
sets. A run on all data sets writes the matrix into the package. COLLECT=1 writes what is finished, evaluates nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import joblib  # type: ignore[import-untyped]
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.portfolio.cells import Evaluator
from benchmarks.portfolio.pool import pool
from benchmarks.portfolio.tables import LARGE, SMALL, SOURCES, Divided, Source, divided
from headrace.core.fingerprint import fingerprint
from headrace.models.space import Config

STATE = Path(".headrace") / "bench" / "portfolio"
QUICK = bool(os.environ.get("QUICK"))
_BLOCK = 24
_QUICK_TABLES, _QUICK_CONFIGS = ("Sacramento", "OJ", "BEPS"), 8


def folder_of(source: Source, data: Divided) -> Path:
    """Return the folder of a data set's cells: other rows or folds are another folder."""
    digest = joblib.hash((data.search.frame, data.search.label, data.search.folds, data.test, data.test_label))
    return STATE / f"{source.name}-{digest[:10]}"


def cell_path(folder: Path, config: Config) -> Path:
    """Return the file of a configuration's cell."""
    return folder / f"{fingerprint(config)[:16]}.npz"


def chosen() -> tuple[Source, ...]:
    """Return the data sets of this run."""
    only = os.environ.get("ONLY", ",".join(_QUICK_TABLES) if QUICK else "")
    return tuple(source for source in SOURCES if not only or source.name in only.split(","))


def missing(sources: Sequence[Source], configs: Sequence[Config]) -> Iterator[tuple[Source, list[tuple[Path, Config]]]]:
    """Yield (data set, its cells that are missing), block by block."""
    folders = {source.name: folder_of(source, divided(source)) for source in sources}
    for group in (SMALL, LARGE):
        for start in range(0, len(configs), _BLOCK):
            for source in (source for source in group if source in sources):
                folder, block = folders[source.name], configs[start : start + _BLOCK]
                paths = [(cell_path(folder, config), config) for config in block]
                yield source, [(path, config) for path, config in paths if not path.exists()]


def build(sources: Sequence[Source], configs: Sequence[Config]) -> None:
    """Evaluate all cells that are missing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns) as progress:
        bar = progress.add_task("matrix", total=len(sources) * len(configs))
        blocks = list(missing(sources, configs))
        progress.advance(bar, len(sources) * len(configs) - sum(len(cells) for _, cells in blocks))
        for source, cells in blocks:
            evaluator = Evaluator(data=divided(source)) if cells else None
            for path, config in cells:
                progress.update(bar, description=f"{source.name} {config['family']}")
                if evaluator is not None and not path.exists():  # another process may have written it since
                    evaluator.evaluate(config).write(path)
                progress.advance(bar)


def main() -> None:
    from benchmarks.portfolio.collect import collect, ship

    sources, configs = chosen(), pool()[:_QUICK_CONFIGS] if QUICK else pool()
    if not os.environ.get("COLLECT"):
        build(sources, configs)
    matrix = collect(sources, configs)
    print(f"{len(matrix.tables)} data sets x {len(matrix.configs)} configurations")
    if sources == SOURCES:
        ship(matrix)


if __name__ == "__main__":
    main()
