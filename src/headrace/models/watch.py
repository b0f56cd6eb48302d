"""What a trial tells while it runs, so that whoever races it may stop it."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Both raise to stop the trial; a trial lets that through. loss: on validation rows, lower is better."""

    def rung(self, name: str, loss: float) -> None:
        """A fidelity was reached. Trials that pass a rung of the same name have spent alike and can be compared."""

    def tick(self, loss: float) -> None:
        """A round was done; called often, so that a deadline is kept."""


class Unwatched:
    """Nobody looks, nothing stops."""

    def rung(self, name: str, loss: float) -> None: ...

    def tick(self, loss: float) -> None: ...
