"""What a study may use, and what each of its trials may; checked before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Of a study: at most `trials` trials and `seconds` of wall clock, whichever is reached first; one may be None."""

    trials: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.seconds is None:
            raise DeclarationError("a study without a budget never ends", where="study", fix="give trials or seconds")
        for name in ("trials", "seconds"):
            _require_positive(name, getattr(self, name), "a study of {} {} does nothing")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one trial: wall-clock seconds, and memory in MB (10^6 bytes) that its process may hold for itself alone.

    Memory that processes share, such as the study's mapped arrays, does not count.
    """

    seconds: float | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        _require_positive("seconds", self.seconds, "a limit of {} {} for a trial lets none end")
        _require_positive("MB", self.memory_mb, "a limit of {} {} for a trial lets none start")

    @property
    def any(self) -> bool:
        return self.seconds is not None or self.memory_mb is not None


def _require_positive(name: str, value: float | None, what: str) -> None:
    if value is not None and not value > 0:
        raise DeclarationError(what.format(value, name), where="study", fix=f"give more than zero {name}")
