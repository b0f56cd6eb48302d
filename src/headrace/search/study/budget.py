"""The budget of a study and the limits of each of its trials, validated before the study starts."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The budget of a study: it ends at `trials` trials or after `seconds` of wall clock, whichever comes first.

    Attributes:
        trials: Number of trials, None for no limit.
        seconds: Wall-clock time, None for no limit.

    Raises:
        DeclarationError: Both are None, or one is not positive.
    """

    trials: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.seconds is None:
            raise DeclarationError("a study without a budget never ends", where="study", fix="give trials or seconds")
        for name in ("trials", "seconds"):
            _require_positive(name, getattr(self, name), "a study needs a positive budget, not {} {}")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one trial.

    Attributes:
        seconds: Wall-clock time.
        memory_mb: Private memory of its process in MB (10^6 bytes). Memory shared between processes, such as the
            study's mapped arrays, does not count.

    Raises:
        DeclarationError: A limit is not positive.
    """

    seconds: float | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        _require_positive("seconds", self.seconds, "the limit of a trial must be positive, not {} {}")
        _require_positive("MB", self.memory_mb, "the limit of a trial must be positive, not {} {}")

    @property
    def any(self) -> bool:
        return self.seconds is not None or self.memory_mb is not None


def _require_positive(name: str, value: float | None, what: str) -> None:
    if value is not None and not value > 0:
        raise DeclarationError(what.format(value, name), where="study", fix=f"set {name} above zero")
