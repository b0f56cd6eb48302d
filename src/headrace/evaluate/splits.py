"""Split rows by time into windows train | tune | gate, half-open intervals of cutoffs, and into expanding folds.

Purging: a row is used for training only if its label was known before the next window starts. Otherwise the training
labels would reveal outcomes that production could not have known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import DAY, iso
from headrace.core.errors import DataError

#: Shares of the matured rows; the gate is the newest.
TUNE_SHARE, GATE_SHARE = 0.15, 0.10
Rows = NDArray[np.int64]
#: (training rows, validation rows), as indices.
Fold = tuple[Rows, Rows]

#: With fewer days than this, windows start at any cutoff instead of at midnight (UTC).
_MIN_DAYS = 10
#: Fewest rows of a window.
_MIN_ROWS = 10
#: Largest number of folds, and of rows of all folds together.
_MAX_FOLDS = 4
_MAX_ROWS = 60_000
#: Smallest training share of the first fold, of the rows before the gate.
_FIRST_SHARE = 1 / 3
#: Tolerance of that share, because windows start at midnight.
_SHARE_TOLERANCE = 0.03


@dataclass(frozen=True, kw_only=True)
class Windows:
    """The rows of each window, as indices in their original order, and the windows in time (microseconds UTC).

    Attributes:
        train: Rows with cutoffs in [start_us, tune_start_us).
        tune: Rows with cutoffs in [tune_start_us, gate_start_us).
        gate: Rows with cutoffs in [gate_start_us, end_us).
        start_us, tune_start_us, gate_start_us, end_us: Boundaries of the windows.
        purged: Number of rows that were dropped because their label was known too late.
        immature: Number of rows whose label is not known yet.
        note: How they differ from the declared ones, for people; empty where they do not.
    """

    train: Rows
    tune: Rows
    gate: Rows
    start_us: int
    tune_start_us: int
    gate_start_us: int
    end_us: int
    purged: int
    immature: int
    note: str = ""

    def describe(self) -> dict[str, str | int]:
        """Return JSON-able facts for a bundle or a report."""
        return {
            "train_from": iso(self.start_us),
            "tune_from": iso(self.tune_start_us),
            "gate_from": iso(self.gate_start_us),
            "until": iso(self.end_us),
            "train_rows": len(self.train),
            "tune_rows": len(self.tune),
            "gate_rows": len(self.gate),
            "purged": self.purged,
            "immature": self.immature,
            **({"note": self.note} if self.note else {}),
        }


def time_windows(
    cutoffs_us: Rows,
    label_known_us: Rows,
    now_us: int,
    *,
    labels: NDArray[np.float64] | None = None,
    gate_share: float = GATE_SHARE,
    tune_share: float = TUNE_SHARE,
) -> Windows:
    """Split rows into the windows train, tune and gate.

    Args:
        cutoffs_us: Cutoff of each row [n], microseconds UTC.
        label_known_us: When each label is known [n], microseconds UTC.
        now_us: The present on the production clock; later labels are immature.
        labels: Binary labels [n]; each window must contain both classes. None for a number.
        gate_share: Share of the matured rows in the gate.
        tune_share: Share of the matured rows in the tune window.

    Raises:
        DataError: A window has too few rows, or one class only.
    """
    cutoffs = np.asarray(cutoffs_us, dtype=np.int64)
    known = np.asarray(label_known_us, dtype=np.int64)
    mature = known < now_us
    matured = np.flatnonzero(mature)
    if len(matured) < 3 * _MIN_ROWS:
        raise DataError(
            f"{len(matured)} rows have a mature label, too few for train, tune and gate windows",
            where="time windows",
            fix=f"load more history: at least {3 * _MIN_ROWS} rows are needed, some hundreds are sensible",
        )
    tune_start, gate_start = _boundaries(cutoffs[matured], gate_share, tune_share)
    before_tune, before_gate = cutoffs < tune_start, cutoffs < gate_start
    train = mature & before_tune & (known < tune_start)
    tune = mature & ~before_tune & before_gate & (known < gate_start)
    gate = mature & ~before_gate
    windows = Windows(
        train=np.flatnonzero(train),
        tune=np.flatnonzero(tune),
        gate=np.flatnonzero(gate),
        start_us=int(cutoffs[matured].min()),
        tune_start_us=tune_start,
        gate_start_us=gate_start,
        end_us=int(cutoffs[matured].max()) + 1,
        purged=int(mature.sum() - train.sum() - tune.sum() - gate.sum()),
        immature=int((~mature).sum()),
    )
    check_windows(windows, labels)
    return windows


def time_folds(
    cutoffs_us: Rows, label_known_us: Rows, windows: Windows, *, labels: NDArray[np.float64] | None = None
) -> tuple[Fold, ...]:
    """Build expanding folds of the rows before the gate, oldest first.

    The last fold is (train, tune); each fold before it validates on as many rows, directly before the next fold's. A
    fold trains on the rows whose label was known before its validation rows begin. One tune window of a small problem
    has a large variance; above `_MAX_ROWS` / 2 rows there is one fold, to save time. scikit-learn's TimeSeriesSplit
    neither purges late labels nor starts folds at midnights.

    Args:
        cutoffs_us: Cutoff of each row [n].
        label_known_us: When each label is known [n].
        windows: The windows of these rows.
        labels: Binary labels [n]; a fold of one class is skipped. None for a number.
    """
    rows = known_before_rows(cutoffs_us, label_known_us, windows.gate_start_us)
    cutoffs, label_known = np.asarray(cutoffs_us, np.int64)[rows], np.asarray(label_known_us, np.int64)[rows]
    starts, counts = _instants(cutoffs)
    rows_before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    folds, end = [(windows.train, windows.tune)], windows.tune_start_us
    for _ in range(min(_MAX_FOLDS, _MAX_ROWS // len(rows)) - 1):
        position = int(np.argmin(np.abs(rows_before - ((cutoffs < end).sum() - len(windows.tune)))))
        start = int(starts[position])
        if start >= end or rows_before[position] < (_FIRST_SHARE - _SHARE_TOLERANCE) * len(rows):
            break
        fold = rows[(cutoffs < start) & (label_known < start)], rows[(cutoffs >= start) & (cutoffs < end)]
        if all(len(part) >= _MIN_ROWS and (labels is None or len(np.unique(labels[part])) > 1) for part in fold):
            folds.insert(0, fold)
        end = start
    return tuple(folds)


def known_before_rows(cutoffs_us: Rows, label_known_us: Rows, instant_us: int) -> Rows:
    """Return the rows with a cutoff before an instant whose label was known before it too."""
    return np.flatnonzero((np.asarray(cutoffs_us) < instant_us) & (np.asarray(label_known_us) < instant_us))


def newest_share(
    cutoffs_us: Rows, label_known_us: Rows, rows: Rows, labels: NDArray[np.float64], share: float = TUNE_SHARE
) -> tuple[Rows, Rows, int] | None:
    """Split rows in time so that both parts have two classes, the newer one as close to a share as that allows.

    Args:
        cutoffs_us: Cutoff of each row [n].
        label_known_us: When each label is known [n].
        rows: The rows to split, as indices.
        labels: Binary labels [n].
        share: Of the rows, in the newer part.

    Returns:
        The older rows whose label was known before the newer part starts, the newer rows, and its start (us); None
        where no start gives both parts two classes and enough rows.
    """
    cutoffs, known = np.asarray(cutoffs_us, np.int64), np.asarray(label_known_us, np.int64)
    starts, counts = _instants(cutoffs[rows])
    newer_share = np.cumsum(counts[::-1])[::-1] / len(rows)
    for position in np.argsort(np.abs(newer_share - share), kind="stable"):
        start = int(starts[position])
        older = rows[(cutoffs[rows] < start) & (known[rows] < start)]
        newer = rows[cutoffs[rows] >= start]
        if all(len(part) >= _MIN_ROWS and len(np.unique(labels[part])) > 1 for part in (older, newer)):
            return older, newer, start
    return None


def _instants(cutoffs: Rows) -> tuple[Rows, NDArray[np.int64]]:
    """Return the instants at which a window may start, and the number of rows from each to the next.

    Midnights where there are enough days, else all cutoffs.
    """
    starts, counts = np.unique(cutoffs - cutoffs % DAY, return_counts=True)
    if len(starts) < _MIN_DAYS:
        starts, counts = np.unique(cutoffs, return_counts=True)
    return starts, counts


def _boundaries(cutoffs: Rows, gate_share: float, tune_share: float) -> tuple[int, int]:
    """Return the starts of the tune window and of the gate."""
    starts, counts = _instants(cutoffs)
    if len(starts) < 3:
        raise DataError(
            f"only {len(starts)} different cutoff times, too few for train, tune and gate windows",
            where="time windows",
            fix="load history over a longer period",
        )
    rows_from_start = np.cumsum(counts[::-1])[::-1]  # rows at or after each start
    total = int(rows_from_start[0])
    gate = int(np.argmin(np.abs(rows_from_start[2:] - gate_share * total))) + 2
    tune = int(np.argmin(np.abs(rows_from_start[1:gate] - (gate_share + tune_share) * total))) + 1
    return int(starts[tune]), int(starts[gate])


def check_windows(windows: Windows, labels: NDArray[np.float64] | None) -> None:
    """Raise DataError where a window has too few rows, or one class only. labels: [n], None for a number."""
    for name in ("train", "tune", "gate"):
        rows: Rows = getattr(windows, name)
        if len(rows) < _MIN_ROWS:
            raise DataError(
                f"the {name} window has {len(rows)} rows ({windows.purged} rows were purged: label known too late)",
                where="time windows",
                fix="load more history, or shorten the time until the label is known",
            )
        if labels is not None:
            classes = np.unique(np.asarray(labels)[rows])
            if len(classes) < 2:
                raise DataError(
                    f"the label has one class only in the {name} window",
                    where="time windows",
                    found=classes.tolist(),
                    fix="check the label's threshold, or load more history",
                )
