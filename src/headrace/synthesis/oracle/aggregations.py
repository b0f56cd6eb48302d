"""What each aggregation says, in plain Python: the twin that the engine's families are held against.

A function of what is held, oldest first: [(instant it counts from, value or None), ...]. Exact where it can be
(fractions); None is missing. One function a primitive, one line in `AGGREGATION_TWINS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from itertools import groupby, pairwise
from typing import Any

Told = Sequence[tuple[int, Any]]
_SECOND, _DAY = 1_000_000, 86_400_000_000


def answer(primitive: str, told: Told) -> Any:
    """The value of a primitive; a list where it has several outputs."""
    return AGGREGATION_TWINS[primitive](told)


def _values(told: Told) -> list[Any]:
    return [value for _, value in told if value is not None]


def _instants(told: Told) -> list[int]:
    return [at for at, value in told if value is not None]


def _of_values(function: Callable[[list[Any]], Any]) -> Callable[[Told], Any]:
    return lambda told: function(_values(told))


def _of_some(function: Callable[[list[Any]], Any], least: int = 1) -> Callable[[Told], Any]:
    """Missing where there are fewer values than that."""
    return lambda told: function(_values(told)) if len(_values(told)) >= least else None


# Moments


def _total(values: Sequence[Any]) -> Fraction:
    return sum(map(Fraction, values), Fraction(0))


def _mean(values: Sequence[Any]) -> float:
    return float(_total(values) / len(values))


def _central(values: Sequence[Any], power: int) -> Fraction:
    mean = _total(values) / len(values)
    return sum(((Fraction(value) - mean) ** power for value in values), Fraction(0))


def _std(values: Sequence[Any]) -> float | None:
    return math.sqrt(_central(values, 2) / (len(values) - 1)) if len(values) > 1 else None


def _skew(values: Sequence[float]) -> float:
    n = len(values)
    square = _central(values, 2)
    if square == 0:
        return 0.0
    # m3 / m2^1.5 with its square taken exactly, so that nothing overflows or underflows on the way.
    cube = _central(values, 3)
    size = math.sqrt(cube * cube / square**3)
    return math.copysign(n * math.sqrt(n - 1) / (n - 2) * size, cube)


def _kurtosis(values: Sequence[float]) -> float | None:
    square = _central(values, 2)
    return float(len(values) * _central(values, 4) / square**2) - 3 if square else None


def _variation(values: Sequence[float]) -> float | None:
    spread, mean = _std(values), _total(values) / len(values)
    return float(Fraction(spread) / mean) if spread is not None and mean else None


def _last_z_score(values: Sequence[float]) -> float | None:
    spread = _std(values)
    if spread is None:
        return None
    return float((Fraction(values[-1]) - _total(values) / len(values)) / Fraction(spread)) if spread else 0.0


def _last_to_mean(values: Sequence[float]) -> float | None:
    mean = _total(values) / len(values)
    return float(Fraction(values[-1]) / mean) if mean else None


# Extremes


def _latest(told: Told, pick: Callable[..., Any]) -> int | None:
    values = _values(told)
    return max(at for at, value in told if value == pick(values)) if values else None


# Order


def _quantile(quantile: float) -> Callable[[list[float]], float]:
    def of(values: list[float]) -> float:
        ordered = sorted(values)
        at = (len(ordered) - 1) * quantile
        low = math.floor(at)
        high = min(low + 1, len(ordered) - 1)
        return float(Fraction(ordered[low]) + (Fraction(ordered[high]) - Fraction(ordered[low])) * Fraction(at - low))

    return of


def _outside(bar: float) -> Callable[[list[float]], float]:
    def of(values: list[float]) -> float:
        spread = _std(values)
        if spread is None:
            return 0.0
        mean = _mean(values)
        return float(sum(value < mean - bar * spread or value > mean + bar * spread for value in values))

    return of


# Categories


def _by_frequency(values: list[str]) -> list[str]:
    return sorted(set(values), key=lambda value: (-values.count(value), value))


def _n_most_common(values: list[str]) -> list[str | None]:
    return [*_by_frequency(values), None, None, None][:3]


def _entropy(values: list[str]) -> float:
    shares = [values.count(value) / len(values) for value in set(values)]
    return -sum(share * math.log(share) for share in shares)


# Truths


def _streaks(values: list[float], wanted: float) -> list[int]:
    return [len(list(run)) for value, run in groupby(values) if value == wanted]


def _ending(values: list[float], wanted: float) -> float:
    return float(_streaks(values, wanted)[-1]) if values and values[-1] == wanted else 0.0


def _last_time_of(told: Told, wanted: float) -> int | None:
    return max((at for at, value in told if value == wanted), default=None)


# Gaps and steps


def _gaps(told: Told) -> list[Fraction]:
    return [Fraction(later - earlier, _SECOND) for earlier, later in pairwise(_instants(told))]


def _of_gaps(function: Callable[[list[Fraction]], Any]) -> Callable[[Told], Any]:
    def of(told: Told) -> float | None:
        gaps = _gaps(told)
        found = function(gaps) if gaps else None
        return None if found is None else float(found)

    return of


def _steps(holds: Callable[[Any, Any], bool]) -> Callable[[Told], float]:
    return lambda told: float(sum(holds(before, after) for before, after in pairwise(_values(told))))


def _peaks(values: list[float]) -> float:
    return float(sum(a < b > c for a, b, c in zip(values, values[1:], values[2:], strict=False)))


def _absolute_change(values: list[float]) -> float:
    return float(sum(abs(Fraction(b) - Fraction(a)) for a, b in pairwise(values)) / (len(values) - 1))


# Days


def _day(at: int) -> int:
    return at // _DAY


def _month(at: int) -> tuple[int, int]:
    moment = datetime.fromtimestamp(at // _SECOND, tz=UTC)
    return moment.year, moment.month


def _different(part: Callable[[int], Any]) -> Callable[[Told], float]:
    return lambda told: float(len({part(at) for at in _instants(told)}))


def _share_at(holds: Callable[[int], bool]) -> Callable[[Told], float | None]:
    def of(told: Told) -> float | None:
        instants = _instants(told)
        return sum(map(holds, instants)) / len(instants) if instants else None

    return of


# Decay and trend


def _weights(told: Told, life_us: int) -> list[tuple[float, float]]:
    last = max(_instants(told), default=0)
    return [(2.0 ** -((last - at) / life_us), value) for at, value in told if value is not None]


def _decayed_mean(told: Told, life_us: int) -> float | None:
    pairs = _weights(told, life_us)
    if not pairs:
        return None
    above = sum(Fraction(weight) * Fraction(value) for weight, value in pairs)
    return float(above / sum(Fraction(weight) for weight, _ in pairs))


def _decayed_sum(told: Told, life_us: int) -> float:
    return float(sum((Fraction(weight) * Fraction(value) for weight, value in _weights(told, life_us)), Fraction(0)))


def _decayed_count(told: Told, life_us: int) -> float:
    return math.fsum(weight for weight, _ in _weights(told, life_us))


def _trend(told: Told) -> float | None:
    x = [Fraction(value) for value in _values(told)]
    t = [Fraction(at, _DAY) for at in _instants(told)]
    if len(x) < 3:
        return None
    mean_t, mean_x = sum(t) / len(t), sum(x) / len(x)
    spread = sum((at - mean_t) ** 2 for at in t)
    together = sum((at - mean_t) * (value - mean_x) for at, value in zip(t, x, strict=True))
    return float(together / spread) if spread else None


AGGREGATION_TWINS: dict[str, Callable[[Told], Any]] = {
    "sum": _of_values(lambda x: float(_total(x))),
    "mean": _of_some(_mean),
    "std": _of_values(_std),
    "variance": _of_some(lambda x: float(_central(x, 2) / (len(x) - 1)), 2),
    "skew": _of_some(_skew, 3),
    "kurtosis": _of_some(_kurtosis),
    "coefficient_of_variation": _of_some(_variation),
    "root_mean_square": _of_some(lambda x: math.sqrt(_total([Fraction(v) ** 2 for v in x]) / len(x))),
    "last_z_score": _of_some(_last_z_score),
    "last_to_mean": _of_some(_last_to_mean),
    "min": _of_some(min),
    "max": _of_some(max),
    "range": _of_some(lambda x: max(x) - min(x)),
    "min_time": lambda told: _latest(told, min),
    "max_time": lambda told: _latest(told, max),
    "count": _of_values(lambda x: float(len(x))),
    "first": lambda told: told[0][1] if told else None,
    "last": lambda told: told[-1][1] if told else None,
    "first_time": lambda told: min(_instants(told), default=None),
    "last_time": lambda told: max(_instants(told), default=None),
    "time_span": lambda told: (max(t) - min(t)) / _SECOND if (t := _instants(told)) else None,
    "change": _of_some(lambda x: x[-1] - x[0]),
    "last_change": _of_some(lambda x: x[-1] - x[-2], 2),
    "median": _of_some(_quantile(0.5)),
    "quantile_5": _of_some(_quantile(0.05)),
    "quantile_10": _of_some(_quantile(0.1)),
    "quantile_25": _of_some(_quantile(0.25)),
    "quantile_75": _of_some(_quantile(0.75)),
    "quantile_90": _of_some(_quantile(0.9)),
    "quantile_95": _of_some(_quantile(0.95)),
    "interquartile_range": _of_some(lambda x: _quantile(0.75)(x) - _quantile(0.25)(x)),
    "count_above_mean": _of_values(lambda x: float(sum(v > _mean(x) for v in x))),
    "count_below_mean": _of_values(lambda x: float(sum(v < _mean(x) for v in x))),
    "count_outside_1_std": _of_values(_outside(1.0)),
    "count_outside_2_std": _of_values(_outside(2.0)),
    "count_outside_3_std": _of_values(_outside(3.0)),
    "last_rank": _of_some(lambda x: sum(v < x[-1] for v in x) / (len(x) - 1), 2),
    "num_unique": _of_some(lambda x: float(len(set(x)))),
    "percent_unique": _of_some(lambda x: len(set(x)) / len(x)),
    "mean_count_per_unique": _of_some(lambda x: len(x) / len(set(x))),
    "mode": _of_some(lambda x: _by_frequency(x)[0]),
    "n_most_common": _of_values(_n_most_common),
    "max_count": _of_values(lambda x: float(max((x.count(v) for v in x), default=0))),
    "percent_most_common": _of_some(lambda x: max(x.count(v) for v in x) / len(x)),
    "percent_last": _of_some(lambda x: x.count(x[-1]) / len(x)),
    "entropy": _of_some(_entropy),
    "percent_true": lambda told: sum(value == 1.0 for _, value in told) / len(told) if told else None,
    "num_true": _of_values(lambda x: float(sum(v == 1.0 for v in x))),
    "any": _of_some(lambda x: float(1.0 in x)),
    "all": _of_some(lambda x: float(0.0 not in x)),
    "longest_true": _of_values(lambda x: float(max(_streaks(x, 1.0), default=0))),
    "longest_false": _of_values(lambda x: float(max(_streaks(x, 0.0), default=0))),
    "num_true_since_last_false": _of_values(lambda x: _ending(x, 1.0)),
    "num_false_since_last_true": _of_values(lambda x: _ending(x, 0.0)),
    "last_true_time": lambda told: _last_time_of(told, 1.0),
    "last_false_time": lambda told: _last_time_of(told, 0.0),
    "mean_time_between": _of_gaps(_mean),
    "std_time_between": _of_gaps(_std),
    "min_time_between": _of_gaps(min),
    "max_time_between": _of_gaps(max),
    "last_time_between": _of_gaps(lambda gaps: gaps[-1]),
    "mean_absolute_change": _of_some(_absolute_change, 2),
    "num_increases": _steps(lambda before, after: after > before),
    "num_decreases": _steps(lambda before, after: after < before),
    "num_zero_crossings": _steps(lambda before, after: before < 0 < after or after < 0 < before),
    "num_peaks": _of_values(_peaks),
    "num_positive": _of_values(lambda x: float(sum(v > 0 for v in x))),
    "num_negative": _of_values(lambda x: float(sum(v < 0 for v in x))),
    "num_zero": _of_values(lambda x: float(sum(v == 0 for v in x))),
    "num_switches": _steps(lambda before, after: before != after),
    "num_days": _different(_day),
    "num_weeks": _different(lambda at: (_day(at) + 3) // 7),
    "num_months": _different(_month),
    "percent_weekend": _share_at(lambda at: (_day(at) + 3) % 7 >= 5),
    "percent_night": _share_at(lambda at: at % _DAY // (_DAY // 24) >= 22 or at % _DAY // (_DAY // 24) < 6),
    **{
        f"decayed_{name}_{days}d": partial(of, life_us=days * _DAY)
        for days in (1, 7, 30)
        for name, of in (("mean", _decayed_mean), ("sum", _decayed_sum), ("count", _decayed_count))
    },
    "trend": _trend,
}
