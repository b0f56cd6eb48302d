"""Ages of features as the prediction log stores them: ticks and statuses by view, encoded once for equal ages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.prediction_log.packed_features import EncodedMapping
from headrace.store.online import Age

#: Ages of rows in memory.
_MAX_AGES = 1000


@dataclass(frozen=True, kw_only=True)
class LoggedAges:
    """Ticks and statuses of the views of a row, the mapping that they are of, and which are not fresh, in words."""

    ages: Mapping[str, Age]
    not_fresh: tuple[str, ...]
    ticks: EncodedMapping
    statuses: EncodedMapping

    @classmethod
    def from_ages(cls, ages: Mapping[str, Age]) -> LoggedAges:
        """Encode the ages of a row."""
        ticks = {view: age.tick_us for view, age in ages.items() if age.tick_us is not None}
        statuses = {view: age.status for view, age in ages.items()}
        not_fresh = tuple(f"{view} is {status}" for view, status in statuses.items() if status != "FRESH")
        return cls(ages=ages, not_fresh=not_fresh, ticks=EncodedMapping(ticks), statuses=EncodedMapping(statuses))


class LoggedAgesCache:
    """Encodes each mapping of ages once: rows of a moment whose views are alike share their mapping."""

    def __init__(self) -> None:
        self._encoded: dict[int, LoggedAges] = {}

    def of(self, ages: Mapping[str, Age]) -> LoggedAges:
        """Return the encoded ages of a row."""
        known = self._encoded.get(id(ages))
        if known is None:
            if len(self._encoded) >= _MAX_AGES:
                self._encoded.clear()
            known = self._encoded[id(ages)] = LoggedAges.from_ages(ages)
        return known
