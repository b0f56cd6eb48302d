"""A trial: one config, tried, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from headrace.models.space import Config


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The result of trying a config; a stopped one and a failed one are results too.

    number: the order of asking, from 0.
    status: "ok" was tried in full; "stopped" was given up on the way, and its loss is what it had reached at a lower
    fidelity (fewer rounds, rows or folds); "failed" has no loss.
    loss: lower is better. seconds: wall-clock time of the objective. cpu_seconds: of its process, all threads; None
    where that process died, or was killed. info: whatever else it returned (rounds, the metric's value, its rungs).
    error: why it was stopped or failed.
    """

    number: int
    config: Config
    status: Literal["ok", "stopped", "failed"]
    loss: float | None
    seconds: float
    info: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    cpu_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        return cls(**data)
