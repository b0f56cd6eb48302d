"""Bytes that a computation may still take below a memory limit, corrected by what earlier parts really took."""

from __future__ import annotations

from headrace.core.errors import DataError
from headrace.core.memory import release_unused_memory, resident_bytes

#: Bytes that stay free: what a part leaves behind, and what other threads of the process may need meanwhile.
RESERVE = 32_000_000
#: The first part is this much smaller than its estimate allows; no later part is more than 1 / _SMALLEST larger.
_FIRST, _SMALLEST = 1.6, 0.5


class MemoryBudget:
    """Bytes that may still be taken below a limit.

    Attributes:
        max_memory: bytes that the process may hold in all.
        reserved: bytes of what is not derived yet, and will then stay in memory.
    """

    def __init__(self, max_memory: int) -> None:
        self.max_memory = max_memory
        self.reserved = 0.0
        self._factor = _FIRST

    @property
    def free_bytes(self) -> float:
        """Bytes that are free now."""
        return float(self.max_memory - resident_bytes() - RESERVE - self.reserved)

    def part_bytes(self) -> float:
        """Estimated bytes that the next part may have, as far as earlier estimates were right."""
        release_unused_memory()
        return self.free_bytes / self._factor

    def learn(self, estimated: float, taken: float) -> None:
        """Correct later estimates by a part that was estimated to take some bytes, and took others."""
        self._factor = max(1.3 * taken / estimated, 0.8 * self._factor, _SMALLEST)


def require_memory(needed_bytes: float, budget: MemoryBudget, *, where: str) -> None:
    """Raise DataError, with a limit that would do, where even the smallest part does not fit below the limit."""
    if needed_bytes > budget.free_bytes:
        held_bytes = resident_bytes()
        enough = (needed_bytes + budget.max_memory - budget.free_bytes) / 1e6
        raise DataError(
            f"max_memory of {budget.max_memory / 1e6:,.0f} MB is not enough: the process holds {held_bytes / 1e6:,.0f}"
            f" MB before anything is computed, and the longest history with its share of the rows takes about"
            f" {needed_bytes / 1e6:,.0f} MB more",
            where=where,
            fix=f"give at least {enough * 1.05:,.0f} MB, or ask for fewer features or shorter tables",
            enough_mb=enough,
        )
