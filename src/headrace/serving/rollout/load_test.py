"""Load a version and query it before it may answer or score requests: the values of its training, in time.

The bundle's reference profile holds rows of its training with the predictions that were made of them then. The rows
must get the same predictions again, together and alone as in a request, and the median time of an answer must be within
a limit. The median, because a single slow answer says more about the machine than about the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from headrace.core.clock import SECOND
from headrace.core.errors import CorruptError, UnavailableError
from headrace.schema import Rollout

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

#: Rows of the reference profile that are queried together, and those that are queried one by one.
TEST_ROWS, SINGLE_ROWS = 50, 10


def load_and_query(
    load: Callable[[], Bundle], rules: Rollout, *, clock: Callable[[], float] = time.perf_counter
) -> Bundle:
    """Load a version, and query it with stored rows.

    Args:
        load: Loads it.
        rules: `load_limit` and `answer_limit`.
        clock: Seconds, monotonic.

    Raises:
        CorruptError: It predicts other values than in its training.
        UnavailableError: It takes too long.
        HeadraceError: It cannot be loaded.
    """
    started = clock()
    bundle = load()
    load_s, limit_s = clock() - started, rules.load_limit_us / SECOND
    if load_s > limit_s:
        raise _too_slow(bundle, f"loading took {load_s:.1f} s, more than {limit_s:g} s", "load_limit")
    answer_s, limit_s = self_test(bundle, clock=clock), rules.answer_limit_us / SECOND
    if answer_s > limit_s:
        what = f"an answer takes {answer_s * 1000:.1f} ms (median), more than {limit_s * 1000:g} ms"
        raise _too_slow(bundle, what, "answer_limit")
    return bundle


def self_test(bundle: Bundle, *, clock: Callable[[], float] = time.perf_counter) -> float:
    """Predict rows of the bundle's reference profile again and compare with the stored predictions.

    Returns:
        The median time of an answer for one row, seconds; 0 where the profile is empty.

    Raises:
        CorruptError: A prediction differs.
    """
    from headrace.models.bundle import PREDICTION

    profile = bundle.read_reference().slice(0, TEST_ROWS)
    expected = profile[PREDICTION].to_numpy()
    _compare(bundle, bundle.predict(profile), expected)
    seconds = []
    for at in range(min(SINGLE_ROWS, profile.num_rows)):
        row: pa.Table = profile.slice(at, 1)
        started = clock()
        actual = bundle.predict(row)
        seconds.append(clock() - started)
        _compare(bundle, actual, expected[at : at + 1])
    return float(np.median(seconds)) if seconds else 0.0


def _compare(bundle: Bundle, predicted: object, expected: np.ndarray) -> None:
    actual = np.asarray(predicted, dtype=np.float64)
    if np.isfinite(actual).all() and np.allclose(actual, expected, rtol=1e-6, atol=1e-9):
        return
    worst = int(np.nanargmax(np.abs(actual - expected))) if np.isfinite(actual).any() else 0
    raise CorruptError(
        "the model does not predict what it predicted when it was made",
        where=f"bundle of {bundle.problem}",
        found=[f"{float(expected[worst])!r} then", f"{float(actual[worst])!r} now"],
        fix="train again, with the library versions that serve",
    )


def _too_slow(bundle: Bundle, what: str, limit: str) -> UnavailableError:
    return UnavailableError(
        what, where=f"bundle of {bundle.problem}", fix=f"choose a faster model, or Rollout({limit}=...) for more time"
    )
