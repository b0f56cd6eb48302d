"""What every stage of one run is told: the problem, where its state lives, and the run's options."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headrace.pipeline.extensions import check_extensions
from headrace.schema import Problem
from headrace.search.study.budget import Budget
from headrace.synthesis.candidates.requested import check_primitives
from headrace.synthesis.engines import engine_of
from headrace.synthesis.language.engine import Engine

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run of the main job.

    reference: how the problem was named (catalogue name or file path); other processes load it by this.
    until_us: train on what was known before this instant; None: everything the sources hold (a problem without feed),
    or the feed's start. trials, seed, workers: of the search. tracking_uri: MLflow's.
    recipe_of: the version whose features and family a retrain keeps; None: features are selected, all families tried.
    on_search: told how far the search is, in one line, as each of its trials ends; on_synthesis: how far synthesis is;
    on_damage: what was found damaged, and what is done about it.
    max_memory: bytes that the process may hold while features are synthesised; None: no limit. It changes no value.
    """

    problem: Problem
    reference: str
    root: Path
    tracking_uri: str
    until_us: int | None = None
    trials: int = 16
    seed: int = 0
    workers: int = 2
    recipe_of: str | None = None
    on_search: Callable[[str], None] | None = None
    on_synthesis: Callable[[str], None] | None = None
    on_damage: Callable[[str], None] = _log.warning
    max_memory: int | None = None

    def __post_init__(self) -> None:
        Budget(trials=self.trials)  # a search that does nothing is refused before the stages that lead to it have run
        check_extensions(self.problem)
        check_primitives(self.problem)

    @property
    def store_identity(self) -> str:
        """Which MLflow the effects are in: our own store is the same one with its server up or down."""
        local = ("sqlite:", "http://127.0.0.1", "http://localhost")
        return "embedded" if self.tracking_uri.startswith(local) else self.tracking_uri

    @property
    def engine(self) -> Engine:
        """What computes the features of this run."""
        return engine_of(self.problem, max_memory=self.max_memory, progress=self.on_synthesis)

    @property
    def feed_until_us(self) -> int | None:
        """The instant that training ends at, where the declaration or the caller names one."""
        if self.until_us is not None:
            return self.until_us
        return self.problem.feed.start_us if self.problem.feed is not None else None

    @property
    def stages_folder(self) -> Path:
        return self.root / "stages" / self.problem.name
