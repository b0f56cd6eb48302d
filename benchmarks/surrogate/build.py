"""The dense set of configurations, trained and stored.

    make bench-tables [ONLY=concrete,hmda] [CONFIGS=1024]

A scrambled Sobol sequence of the space's own dimension, a scramble of its own for each table. Every training is a line
of a journal, so a killed build goes on where it was; a table that is stored with as many configurations, from the same
rows and the same code, is left alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import track

from benchmarks.surrogate.sources import SOURCES, Source, Split, split
from benchmarks.surrogate.space import SPACE, config_at
from benchmarks.surrogate.table import FOLDER, learnt
from benchmarks.surrogate.train import MAX_ROUNDS, PATIENCE, train
from headrace.core.files import write_bytes
from headrace.core.fingerprint import fingerprint
from headrace.search.space import Config, all_parameters
from headrace.search.study.journal import Journal
from headrace.search.trial import Trial

JOURNALS = Path(".headrace") / "bench" / "surrogate"
#: A power of two: only then is a Sobol sequence balanced.
CONFIGS = 1024


def design(name: str, n: int) -> list[Config]:
    """n configurations for a table; a longer design starts with the shorter one."""
    from scipy.stats import qmc

    seed = int(fingerprint(name)[:8], 16)
    points = qmc.Sobol(len(list(all_parameters(SPACE))), rng=seed).random(n)
    return [config_at(point) for point in points]


def key_of(source: Source, data: Split) -> str:
    """The fingerprint of all that decides a loss: rows, space, how it is trained and by which version."""
    import lightgbm

    arrays = {name: value.tobytes().hex() for name, value in asdict(data).items() if isinstance(value, np.ndarray)}
    facts = [source.name, repr(SPACE), MAX_ROUNDS, PATIENCE, lightgbm.__version__]
    return fingerprint({"facts": facts, "arrays": fingerprint(arrays)})


def build(source: Source, n: int) -> Path:
    """Train what is missing and store the table; the path of its Parquet file."""
    path, data = FOLDER / f"{source.name}.parquet", split(source)
    key = key_of(source, data)
    if path.exists() and stored(path) == (key, n):
        return path
    with Journal(JOURNALS / f"{source.name}.jsonl", key) as journal:
        known = {trial.number for trial in journal.trials}
        for number, config in enumerate(design(source.name, n)):
            if number in known:
                continue
            started = time.perf_counter()
            loss, rounds = train(config, data)
            seconds = time.perf_counter() - started
            journal.append(
                Trial(number=number, config=config, status="ok", loss=loss, seconds=seconds, info={"rounds": rounds})
            )
        store(path, key, tuple(sorted(journal.trials, key=lambda trial: trial.number))[:n])
    return path


def stored(path: Path) -> tuple[str, int]:
    """(key, number of configurations) of a table on disk."""
    metadata = pq.read_metadata(path)
    return metadata.metadata[b"key"].decode(), metadata.num_rows


def store(path: Path, key: str, trials: Sequence[Trial]) -> None:
    """A column per parameter (null where it does not exist), loss, rounds and the seconds of the training."""
    columns = {name: [trial.config.get(name) for trial in trials] for name, _ in all_parameters(SPACE)}
    arrays = {name: pa.array(values) for name, values in columns.items()}
    small = {
        name: array.cast(pa.float32()) if pa.types.is_floating(array.type) else array for name, array in arrays.items()
    }
    table = pa.table(
        {
            **small,
            "loss": pa.array([trial.loss for trial in trials], pa.float32()),
            "rounds": pa.array([trial.info["rounds"] for trial in trials], pa.int16()),
            "seconds": pa.array([trial.seconds for trial in trials], pa.float32()),
        }
    )
    facts = learnt([dict(trial.config) for trial in trials], table["loss"].to_numpy().astype(np.float64))
    table = table.replace_schema_metadata({"key": key, **{name: json.dumps(fact) for name, fact in facts.items()}})
    sink = pa.BufferOutputStream()
    pq.write_table(
        table, sink, compression="zstd", compression_level=19, use_dictionary=["family", "lightgbm.sampling"]
    )
    write_bytes(path, sink.getvalue().to_pybytes())


def main() -> None:
    only = os.environ.get("ONLY", "")
    names = only.split(",") if only else list(SOURCES)
    n = int(os.environ.get("CONFIGS") or CONFIGS)
    for name in track(names, description=f"{len(names)} tables of {n} configurations"):
        build(SOURCES[name], n)


if __name__ == "__main__":
    main()
