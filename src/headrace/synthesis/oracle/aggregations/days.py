"""On how many days, weeks and months something was seen, and what share of it when, in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from headrace.synthesis.oracle.observations import SECOND, Observations, Twin, instants_of


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at // SECOND, tz=UTC)


def _number_of(part: Callable[[datetime], Any]) -> Twin:
    return lambda observations: float(len({part(_moment(at)) for at in instants_of(observations)}))


def _share(condition: Callable[[datetime], bool]) -> Twin:
    def twin(observations: Observations) -> float | None:
        moments = [_moment(at) for at in instants_of(observations)]
        return sum(map(condition, moments)) / len(moments) if moments else None

    return twin


DAYS: dict[str, Twin] = {
    "num_days": _number_of(lambda moment: moment.date()),
    "num_weeks": _number_of(lambda moment: moment.isocalendar()[:2]),
    "num_months": _number_of(lambda moment: (moment.year, moment.month)),
    "percent_weekend": _share(lambda moment: moment.weekday() >= 5),
    "percent_night": _share(lambda moment: moment.hour >= 22 or moment.hour < 6),
}
