"""Entries and ranges on which kernels are compared with their plain-Python twins, without tables or clocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from headrace.core.clock import DAY, HOUR, NEVER
from headrace.synthesis.language.values import Ints
from headrace.synthesis.primitives import Aggregation
from headrace.synthesis.primitives.catalogue import aggregate
from headrace.synthesis.primitives.entries import Entries

CATEGORIES = 5


START = 1_600_000_000_000_000


@dataclass(frozen=True)
class Case:
    """Entries and windows over them, both as the local engine would give them."""

    entries: Entries
    lo: Ints
    hi: Ints

    def observations(self, query: int) -> list[tuple[int, Any]]:
        """What the twin is observations of a query."""
        entries = self.entries
        return [(int(entries.anchor[i]), _plain(entries, i)) for i in range(self.lo[query], self.hi[query])]


def _plain(entries: Entries, i: int) -> Any:
    if entries.code is not None:
        return int(entries.code[i]) if entries.code[i] >= 0 else None
    if entries.instant is not None:
        return int(entries.instant[i]) if entries.instant[i] != NEVER else None
    if entries.number is not None:
        return float(entries.number[i]) if not math.isnan(entries.number[i]) else None
    return True


def values(kind: str, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """A column of a kind, a fifth of it null; numbers in one of several magnitudes."""
    null = rng.random(n) < 0.2
    if kind == "categorical":
        codes = np.minimum(rng.geometric(0.4, n) - 1, CATEGORIES - 1)
        return {"code": np.where(null, -1, codes), "categories": CATEGORIES}
    if kind == "boolean":
        return {"number": np.where(null, np.nan, rng.random(n) < 0.6)}
    if kind == "time":
        return {"instant": np.where(null, NEVER, START + rng.integers(0, 9, n) * HOUR)}
    if kind == "rows":
        return {}
    numbers = (
        rng.integers(-2, 3, n).astype(float),
        rng.normal(size=n),
        1e8 + rng.normal(size=n),
        rng.normal(size=n) * 10.0 ** rng.integers(-8, 9, n),
    )[int(rng.integers(4))]
    return {"number": np.where(null, np.nan, numbers)}


def random_case(kind: str, seed: int, keys: int = 4, most: int = 25) -> Case:
    """Keys with 0 to `most` entries on a grid of half days with ties; windows that never fall back within a key."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, most, keys)
    key = np.repeat(np.arange(keys), sizes)
    anchor = np.concatenate([START + np.sort(rng.integers(0, 2 * most, size)) * (DAY // 2) for size in sizes])
    lo, hi = [], []
    for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        for low, high in _windows(size, rng):
            lo.append(start + low)
            hi.append(start + high)
    entries = Entries(key=key, anchor=anchor.astype(np.int64), **values(kind, len(key), rng))
    return Case(entries, np.array(lo, dtype=np.int64), np.array(hi, dtype=np.int64))


def _windows(size: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Expanding, or sliding: pairs of positions neither of which falls."""
    high = np.sort(rng.integers(0, size + 1, 8))
    if rng.random() < 0.4:
        yield from ((0, int(h)) for h in high)
    else:
        low = np.minimum(np.sort(rng.integers(0, size + 1, 8)), high)
        yield from zip(np.maximum.accumulate(low).tolist(), high.tolist(), strict=True)


def results(primitive: Aggregation, case: Case) -> list[Any]:
    """The kernel's values as the twin writes them."""
    computed = aggregate(case.entries, case.lo, case.hi, [primitive.name])[primitive.name]
    kind = primitive.result
    if kind == "time" or (kind is None and case.entries.instant is not None):
        return [None if value == NEVER else int(value) for value in computed]
    if kind == "categorical" or (kind is None and case.entries.code is not None):
        rows = computed.reshape(len(computed), -1).tolist()
        parts = [[None if code < 0 else code for code in row] for row in rows]
        return parts if primitive.outputs > 1 else [row[0] for row in parts]
    return [None if math.isnan(value) else float(value) for value in computed]


def assert_same(ours: Any, true: Any, scale: float) -> None:
    """Equal: numbers within 1e-9 and 1e-13 of the scale of the inputs, anything else exactly."""
    if isinstance(true, float) and isinstance(ours, float):
        assert ours == pytest.approx(true, rel=1e-9, abs=1e-9 + 1e-13 * scale)
    else:
        assert ours == true


def scale_of(observations: list[tuple[int, Any]]) -> float:
    """The largest absolute number among observations, 0 where there is none."""
    return max((abs(value) for _, value in observations if isinstance(value, float)), default=0.0)


def ints(value: int) -> Ints:
    """One position."""
    return np.array([value], dtype=np.int64)


def nulls(kind: str, n: int) -> dict[str, Any]:
    """A column of a kind, all null."""
    if kind == "categorical":
        return {"code": np.full(n, -1), "categories": 0}
    return {"instant": np.full(n, NEVER)} if kind == "time" else {"number": np.full(n, np.nan)}


def same(kind: str, n: int) -> dict[str, Any]:
    """A column of a kind, the same value n times."""
    if kind == "categorical":
        return {"code": np.full(n, 1), "categories": 2}
    if kind == "rows":
        return {}
    return {"instant": np.full(n, START)} if kind == "time" else {"number": np.ones(n)}
