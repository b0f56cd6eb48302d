"""The result of one trial of a study: its configuration, its loss and its cost; for searchers and the study journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from headrace.models.space import Config


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The result of one evaluated configuration. A stopped trial and a failed trial are results too.

    Attributes:
        number: Position in the order in which configurations were proposed, from 0.
        config: Parameter values by key.
        status: "ok": evaluated at the full fidelity. "stopped": ended early by racing or by the study's deadline.
            "failed": the objective raised, or its process ended.
        loss: Lower is better. Of a stopped trial, the loss at a lower fidelity (fewer rounds, rows or folds). None of
            a failed one.
        seconds: Wall-clock time of the objective.
        info: What else the objective returned: rounds, the metric's value, the losses at its rungs.
        error: Why the trial was stopped or failed.
        cpu_seconds: CPU time of the process, all threads. None where the process ended before the trial did.
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
