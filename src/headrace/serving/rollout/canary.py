"""Score the rows of calls of which a challenger answers some; where it fails, the champion answers them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from headrace.core.errors import DataError
from headrace.serving.answers import Online, ValidatedCall
from headrace.serving.request import RequestRow
from headrace.serving.rollout_counts import RolloutCounts
from headrace.serving.scoring import ScoredRow, score_rows


def score_calls(
    online: Online,
    calls: Sequence[ValidatedCall],
    now_us: int,
    counts: RolloutCounts,
    after_read: Callable[[], None] = lambda: None,
) -> list[ScoredRow]:
    """Score the rows of calls of the same versions, each by the version that its entity is assigned to.

    Args:
        online: Stored features.
        calls: The calls; all have the same `challenger.version`.
        now_us: Instant of the calls on the production clock.
        counts: Counts what the challenger scores, and where it fails.
        after_read: Called when the champion's stored features were read, or need not be.

    Returns:
        The scored rows of all calls, in order.

    Raises:
        HeadraceError: As `score_rows` of the champion.
    """
    rows = [row for call in calls for row in call.rows]
    starts, assigned = 0, dict[int, RequestRow]()
    for call in calls:
        assert call.challenger is not None
        assigned |= {starts + at: row for at, row in call.challenger.rows.items()}
        starts += len(call.rows)
    scored: dict[int, ScoredRow] = {}
    failure: Exception | None = None
    if assigned and calls[0].challenger is not None:
        try:
            own = score_rows(online, calls[0].challenger.version, list(assigned.values()), now_us)
            _require_finite(own)
            scored = dict(zip(assigned, own, strict=True))
        except Exception as error:  # whatever is wrong with a challenger, the champion answers
            failure = error
    left = [at for at in range(len(rows)) if at not in scored]
    by_champion = score_rows(online, calls[0].version, [rows[at] for at in left], now_us, after_read)
    if not left:
        after_read()
    counts.scored(len(scored), answered=True)
    if failure is not None:
        counts.failed(len(assigned), failure)
    scored |= dict(zip(left, by_champion, strict=True))
    return [scored[at] for at in range(len(rows))]


def _require_finite(rows: Sequence[ScoredRow]) -> None:
    if not all(math.isfinite(row.value) for row in rows):
        raise DataError("the model gave no number for a row", where=f"version {rows[0].version.loaded.version}")
