"""A trial: one config, tried, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from headrace.models.space import Config


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The result of trying a config; a failed one is a result too.

    number: the order of asking, from 0. loss: lower is better, None where status is "failed". seconds: wall-clock time
    of the objective. info: whatever else it returned (rounds, the metric's value). error: why it failed.
    """

    number: int
    config: Config
    status: Literal["ok", "failed"]
    loss: float | None
    seconds: float
    info: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        return cls(**data)
