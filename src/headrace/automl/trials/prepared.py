"""The folds of a search after a preparation, in files that all worker processes map: each is computed once."""

from __future__ import annotations

import shutil
import time
import uuid
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from headrace.automl.prepare.block import Target
from headrace.automl.prepare.preparation import Preparation, PreparationSpec
from headrace.automl.trials.data import encodable_label, read_data
from headrace.core.fingerprint import fingerprint
from headrace.models.design import Design

#: Prepared folds that a worker holds mapped: their pages count as its memory.
_MAPPED = 24
#: Prepared folds are written as long as all of a search take at most this share of the disk that it found free.
_SHARE_OF_DISK = 0.1


@dataclass(frozen=True, kw_only=True)
class PreparedFold:
    """A fold after its preparation.

    Attributes:
        train: Design matrix of the training rows.
        valid: Design matrix of the validation rows.
        seconds: Time that the preparation of the validation rows took.
    """

    train: Design
    valid: Design
    seconds: float


def prepared_fold(folder: Path, digest: str, number: int, spec: PreparationSpec, seed: int) -> PreparedFold:
    """Return a fold after a preparation that is fitted on its training rows; computed where no file has it.

    Args:
        folder: Folder of the search; the fitted preparation is left in it too (`preparation_file`).
        digest: Digest of the data.
        number: Number of the fold.
        spec: The preparation.
        seed: Of its random numbers.
    """
    file = folder / f"designs-{fingerprint([digest, number, spec, seed])[:16]}.joblib"
    if not file.exists():
        preparation, prepared = _computed(folder, digest, number, spec, seed)
        _dump(preparation, preparation_file(folder, preparation_key(number, spec)))
        if not _has_room(folder, _bytes(prepared)):
            return prepared
        _dump(prepared, file)
    return _mapped(file)


def preparation_key(rows: int | str, spec: PreparationSpec) -> str:
    """Return the key of a preparation that is fitted on the training rows of a fold, by its number, or on all."""
    return f"{rows}-{fingerprint(spec)[:12]}"


def preparation_file(folder: Path, key: str) -> Path:
    """Return the file of a fitted preparation."""
    return folder / f"prepared-{key}.joblib"


def _computed(
    folder: Path, digest: str, number: int, spec: PreparationSpec, seed: int
) -> tuple[Preparation, PreparedFold]:
    data = read_data(folder, digest)
    fold = data.folds[number]
    preparation = Preparation(spec, data.cleaner, data.without_trend)
    target = Target(label=encodable_label(data, fold.train), task=data.task, seed=seed)
    train = preparation.fit_transform(data.frame.iloc[fold.train].reset_index(drop=True), target)
    rows = data.frame.iloc[fold.valid].reset_index(drop=True)
    started = time.perf_counter()
    valid = preparation.transform(rows)
    return preparation, PreparedFold(train=train, valid=valid, seconds=time.perf_counter() - started)


def _has_room(folder: Path, size: int) -> bool:
    used = sum(file.stat().st_size for file in folder.glob("designs-*"))
    return used + size <= _SHARE_OF_DISK * (used + shutil.disk_usage(folder).free)


def _bytes(prepared: PreparedFold) -> int:
    return int(prepared.train.X.nbytes + prepared.valid.X.nbytes)


def _dump(value: Any, file: Path) -> None:
    """Write a file in one step: another worker may read it, or be killed while it writes the same."""
    import joblib  # type: ignore[import-untyped]

    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp")
    joblib.dump(value, temporary)
    temporary.replace(file)


@lru_cache(maxsize=_MAPPED)
def _mapped(file: Path) -> PreparedFold:
    import joblib

    stored: PreparedFold = joblib.load(file, mmap_mode="c")  # some models demand writable arrays
    return replace(stored, train=_plain(stored.train), valid=_plain(stored.valid))


def _plain(design: Design) -> Design:
    """Return a design matrix over the same pages whose slices are plain arrays."""
    return replace(design, X=np.asarray(design.X))
