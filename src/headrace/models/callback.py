"""Callbacks that report the intermediate losses of a trial, for racing and for the study's deadline."""

from __future__ import annotations

from typing import Protocol


class TrialCallback(Protocol):
    """Receives the validation losses of a trial (lower is better). Either method may raise to stop the trial."""

    def on_rung(self, name: str, loss: float) -> None:
        """A rung is reached. Losses of trials at rungs of the same name have the same fidelity and are comparable."""

    def on_round(self, loss: float) -> None:
        """A round is finished. Called often, so that a deadline can stop the trial."""


class NoCallback:
    """A callback that ignores everything."""

    def on_rung(self, name: str, loss: float) -> None: ...

    def on_round(self, loss: float) -> None: ...
